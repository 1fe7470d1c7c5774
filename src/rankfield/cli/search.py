"""`rankfield search`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cache_folder import user_cache
from rankfield.cli.opening import Opened, Opening, opens_a_model
from rankfield.cli.option_groups import takes_options
from rankfield.cli.options import Device
from rankfield.cli.query_options import QueryOptions
from rankfield.cli.search_results import show_answer, show_answer_json
from rankfield.errors import ImageError, InputError, OutputError
from rankfield.paths import is_file
from rankfield.terminal import cell, console, echo

if TYPE_CHECKING:
    import polars as pl

    from rankfield.schema import RankingDataset

__all__ = ["command"]

_K = 10
_BUILD = "Build an index: rankfield index MODEL DATASET --out FOLDER."


@opens_a_model
@takes_options(QueryOptions, "options")
def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INDEX|MODEL",
            help="An index that `rankfield index` built, folder `model` of a training run, or any "
            "pretrained model: folder, hub id, or package:NAME.",
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORDS",
            help='With an index: parts of the query, "red dress:1" "polka dots:-0.5" '
            "image:shoe.jpg:0.6 like:DOCUMENT:0.3. With a model: the data set whose documents are "
            "searched, and one text.",
            show_default=False,
        ),
    ] = None,
    *,
    image: Annotated[Path | None, typer.Option(help="An image to look for, alone or too.")] = None,
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, help="How many documents. Default: 10.", show_default=False),
    ] = None,
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
    options: QueryOptions,
    opening: Opening,
) -> None:
    """Search an index, or a data set's documents with a model, exactly.

    Example: rankfield search shop-index "red striped mug"

    Example: rankfield search shop-index "red mug" "dots:-0.5" --filter "price < 20" --explain

    Example: rankfield search runs/gcl/model shop "red striped mug"
    """
    from rankfield.cli.options import chosen_device
    from rankfield.index import is_index
    from rankfield.schema import RankingDataset

    place, given = chosen_device(device), words or []
    if is_index(source):
        if len(given) > 1 and is_file(Path(given[0]) / "dataset.toml"):
            found = " and ".join(map(repr, given))
            raise InputError(f"expected an index and a query, found {found}", where=source)
        if option := opening.given():
            raise InputError("is for a pretrained model, found an index", where=option)
        if opening.embedding_precision != "float32":
            raise InputError("is for a model, found an index", where="--embedding-precision")
        _search_index(
            Path(source), given, image, k=k, device=place, model=model, stale=stale, options=options
        )
        return
    if not given or model is not None or stale:
        raise InputError(
            "expected a model, a data set and a query; --model and --stale are for an index",
            where=source,
            remedy=_BUILD,
        )
    _refuse_queries(given, options)
    folder = None if no_cache else cache or user_cache()
    data = RankingDataset.load(given[0])
    opened = opening.open(source, data, place)
    text = given[1] if len(given) > 1 else ""
    _search_data(opened, data, text, image, k=k or _K, folder=folder, asked=cache is not None)


def _refuse_queries(words: Sequence[str], options: QueryOptions) -> None:
    """Refuse what a search with a model cannot answer."""
    if option := options.given():
        raise InputError("is for an index, found a model", where=option, remedy=_BUILD)
    if len(words) > 2:
        problem = "several parts are for an index, found a model"
        raise InputError(problem, where="WORDS", remedy=_BUILD)


def _search_index(
    folder: Path,
    words: Sequence[str],
    image: Path | None,
    *,
    k: int | None,
    device: str,
    model: Path | None,
    stale: bool,
    options: QueryOptions,
) -> None:
    from rankfield.index import check_current, index_model, open_index
    from rankfield.query import Searcher

    path = None if image is None else str(image)
    query = options.query_of(words, path, k, _image_bytes)
    index = open_index(folder)
    loaded = index_model(index, model, device=device)
    if not stale:
        check_current(index, loaded)
    answer = Searcher(index, loaded).search(query)
    if options.json:
        show_answer_json(answer)
        return
    show_answer(answer, index.metadata.text_fields)
    if answer.cursor is not None and not options.is_plain:
        echo(f"next page: --cursor {answer.cursor}", err=True)


def _image_bytes(name: str) -> bytes:
    from rankfield.paths import read_bytes
    from rankfield.query.images import MAX_IMAGE

    try:
        return read_bytes(Path(name), MAX_IMAGE, ImageError)
    except (OSError, ValueError) as error:
        problem = "no such image" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise ImageError(problem, where=name, remedy="Give another image.") from error


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
