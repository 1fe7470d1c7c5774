"""`rankfield search`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.opening import Opened, Opening, opens_a_model
from rankfield.cli.options import Device
from rankfield.errors import InputError, OutputError
from rankfield.terminal import cell, console, echo

if TYPE_CHECKING:
    import polars as pl

    from rankfield.schema import RankingDataset

__all__ = ["command"]


@opens_a_model
def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INDEX|MODEL",
            help="An index that `rankfield index` built, folder `model` of a training run, or any "
            "pretrained model: folder, hub id, or package:NAME.",
        ),
    ],
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="[DATASET]", help="With a model: the data set whose documents are searched."
        ),
    ] = "",
    query: Annotated[str, typer.Argument(metavar="[QUERY]", help="What to look for.")] = "",
    *,
    image: Annotated[Path | None, typer.Option(help="An image to look for, alone or too.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
    device: Device = None,
    model: Annotated[
        Path | None,
        typer.Option(help="The index's model; default: where it was when the index was built."),
    ] = None,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Search an index although its data set has changed since."),
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            envvar="RANKFIELD_CACHE",
            show_default=False,
            help="With a model: folder that keeps an index of the documents, so that a second "
            "search of the same model and data embeds none; default: ~/.cache/rankfield.",
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="With a model: keep no index and take none.")
    ] = False,
    opening: Opening,
) -> None:
    """Search an index, or a data set's documents with a model, exactly.

    Example: rankfield search shop-index "red striped mug"

    Example: rankfield search runs/gcl/model shop "red striped mug"
    """
    from rankfield.cli.options import chosen_device
    from rankfield.index import is_index
    from rankfield.schema import RankingDataset

    place = chosen_device(device)
    if is_index(source):
        if query:
            raise InputError(
                f"expected an index and a query, found {dataset!r} and {query!r}", where=source
            )
        if option := opening.given():
            raise InputError("is for a pretrained model, found an index", where=option)
        if opening.embedding_precision != "float32":
            raise InputError("is for a model, found an index", where="--embedding-precision")
        _search_index(Path(source), dataset, image, k=k, device=place, model=model, stale=stale)
        return
    if not dataset or model is not None or stale:
        raise InputError(
            "expected a model, a data set and a query; --model and --stale are for an index",
            where=source,
            remedy="Build an index: rankfield index MODEL DATASET --out FOLDER.",
        )
    folder = None if no_cache else cache or _user_cache()
    data = RankingDataset.load(dataset)
    opened = opening.open(source, data, place)
    _search_data(opened, data, query, image, k=k, folder=folder, asked=cache is not None)


def _search_index(
    folder: Path,
    query: str,
    image: Path | None,
    *,
    k: int,
    device: str,
    model: Path | None,
    stale: bool,
) -> None:
    from rankfield.evaluation import retrieve
    from rankfield.index import check_current, index_model, open_index

    index = open_index(folder)
    loaded = index_model(index, model, device=device)
    if not stale:
        check_current(index, loaded)
    found = retrieve(loaded, index, query, image=image, k=k)
    names = dict(zip(index.documents([]).columns, found.columns[2:], strict=True))
    _show(found, {name: names[name] for name in ["doc_id", *index.metadata.text_fields]})


def _search_data(
    opened: Opened,
    data: RankingDataset,
    query: str,
    image: Path | None,
    *,
    k: int,
    folder: Path | None,
    asked: bool,
) -> None:
    from rankfield.evaluation import retrieve
    from rankfield.index import CachedEmbedder

    loaded = opened.model
    kept = None
    if folder is not None:
        kept = CachedEmbedder(loaded, opened.fingerprint, folder)
    try:
        found = retrieve(loaded, data, query, image=image, k=k, documents=kept)
    except OutputError as error:
        if asked:
            raise
        # Nobody asked for this cache: a search works without it.
        echo(f"note: the embeddings are not kept: {error}", err=True)
        found = retrieve(loaded, data, query, image=image, k=k)
    # A field may be called rank or similarity: those of `found` come first, the data's after them.
    names = dict(zip(data.documents.columns, found.columns[2:], strict=True))
    texts = [field.name for field in data.document_fields if field.modality == "text"]
    _show(found, {name: names[name] for name in ["doc_id", *texts]})


def _user_cache() -> Path | None:
    """Return where indexes are kept by default; None for a user without a home."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(folder) if folder else Path.home() / ".cache") / "rankfield"
    except RuntimeError:
        return None


def _show(found: pl.DataFrame, columns: Mapping[str, str]) -> None:
    """Print the hits; `columns`: what to show → its name in `found`."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("rank", "similarity"):
        table.add_column(name, justify="right")
    for name in columns.values():
        table.add_column(cell(name))
    for row in found.iter_rows(named=True):
        texts = (row[name] or "" for name in columns.values())
        table.add_row(*map(cell, [str(row["rank"]), f"{row['similarity']:.4f}", *texts]))
    console().print(table)
