"""`rankfield index`: the documents of a data set, embedded once and searched often."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from rankfield.cli.options import Device, EmbeddingPrecision, EngineOption, Model, Overwrite
from rankfield.terminal import echo

__all__ = ["Command", "command"]


class Command(TyperCommand):
    """The verb, whose help names the stores of the table."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        from rankfield.index import STORES

        (store,) = (one for one in self.params if one.name == "store")
        store.help = f"{_STORE[:-1]}: {', '.join(STORES)}."  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


_STORE = "What proposes documents, with its place if it has one."


def command(
    model: Model,
    dataset: Annotated[Path, typer.Argument(help="The data set whose documents are indexed.")],
    *,
    out: Annotated[Path, typer.Option(help="Where to put the index.")],
    store: Annotated[str, typer.Option(help=_STORE)] = "exact",
    dtype: Annotated[
        str,
        typer.Option(help="float32, or float16 for half the space and vectors rounded to it."),
    ] = "float32",
    dimension: Annotated[
        int | None,
        typer.Option(min=1, help="Cut the embeddings to this many dimensions; default: all."),
    ] = None,
    first_pass: Annotated[
        str,
        typer.Option(
            help="What a search looks at first: none, int8 (a quarter, the same result), binary or "
            "dimensions:N (may miss some; measured)."
        ),
    ] = "none",
    engine: EngineOption = "local",
    device: Device = None,
    embedding_precision: EmbeddingPrecision = "float32",
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails/--no-thumbnails", help="Keep small images of the documents, for pages."
        ),
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Embed a data set's documents and keep them in an index that `rankfield search` opens.

    An index that is there already and up to date is left as it is; a build that was interrupted
    goes on where it stopped.

    Example: rankfield index runs/gcl/model shop --out shop-index
    """
    from rankfield.cli.options import chosen_device
    from rankfield.engines import make_engine
    from rankfield.index import build_index
    from rankfield.schema import RankingDataset

    index = build_index(
        model,
        RankingDataset.load(dataset),
        out,
        store=store,
        dtype=dtype,
        dimension=dimension,
        first_pass=first_pass,
        engine=make_engine(engine) if engine == "ray" else None,
        device=chosen_device(device),
        precision=embedding_precision,
        overwrite=overwrite,
        thumbnails=thumbnails,
    )
    width = index.metadata.dimension
    if embedding_precision == "auto":
        echo(f"note: embedded in {index.metadata.precision}")
    echo(f"{len(index):,} documents in {width} dimensions: {out}")
    for share, recall in index.metadata.recall.items():
        kept = "" if share == "1" else f" under a filter that keeps {float(share):g}"
        echo(f"recall@10{kept}: {recall:.3f}")
