"""`rankfield search`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.options import Device, Model
from rankfield.errors import OutputError
from rankfield.terminal import cell, console, echo

if TYPE_CHECKING:
    import polars as pl

    from rankfield.schema import RankingDataset

__all__ = ["command"]


def command(
    model: Model,
    dataset: Annotated[Path, typer.Argument(help="The data set whose documents are searched.")],
    query: Annotated[str, typer.Argument(help="What to look for.")] = "",
    *,
    image: Annotated[Path | None, typer.Option(help="A picture to look for, alone or too.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
    device: Device = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            envvar="RANKFIELD_CACHE",
            show_default=False,
            help="Folder that keeps the documents' embeddings, so that a second search of the same "
            "model and data embeds none; default: ~/.cache/rankfield.",
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Keep no embeddings and take none that are kept.")
    ] = False,
) -> None:
    """Search a data set's documents with a model, exactly.

    Example: rankfield search runs/gcl/model shop "red striped mug"
    """
    from rankfield.cli.options import chosen_device
    from rankfield.encoders import RankingModel
    from rankfield.encoders.fingerprint import model_fingerprint
    from rankfield.evaluation import CachedEmbedder, retrieve
    from rankfield.schema import RankingDataset

    place = chosen_device(device)
    data = RankingDataset.load(dataset)
    loaded = RankingModel.load(model).to(place)
    folder = None if no_cache else cache or _user_cache()
    kept = None
    if folder is not None:
        kept = CachedEmbedder(loaded, model_fingerprint(model), folder)
    try:
        found = retrieve(loaded, data, query, image=image, k=k, documents=kept)
    except OutputError as error:
        if cache is not None:
            raise
        # Nobody asked for this cache: a search works without it.
        echo(f"note: the embeddings are not kept: {error}", err=True)
        found = retrieve(loaded, data, query, image=image, k=k)
    _show(found, data)


def _user_cache() -> Path | None:
    """Return where embeddings are kept by default; None for a user without a home."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(folder) if folder else Path.home() / ".cache") / "rankfield"
    except RuntimeError:
        return None


def _show(found: pl.DataFrame, data: RankingDataset) -> None:
    from rich.table import Table

    # A field may be called rank or similarity: those of `found` come first, the data's after them.
    columns = dict(zip(data.documents.columns, found.columns[2:], strict=True))
    texts = [columns[field.name] for field in data.document_fields if field.modality == "text"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("rank", "score"):
        table.add_column(name, justify="right")
    for name in ("doc_id", *texts):
        table.add_column(cell(name))
    for row in found.iter_rows(named=True):
        cells = [str(row["rank"]), f"{row['similarity']:.4f}", row["doc_id"]]
        table.add_row(*map(cell, [*cells, *(row[name] or "" for name in texts)]))
    console().print(table)
