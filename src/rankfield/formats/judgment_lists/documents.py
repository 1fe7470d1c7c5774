"""Judgment lists with the documents they rate: a table, or an export of a search engine's index."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import polars as pl

from rankfield.column_names import DOC_IDS, PLAIN_IDS, find_column
from rankfield.errors import DataError
from rankfield.formats.assemble import DatasetOptions, Source, assemble
from rankfield.formats.foreign_columns import (
    RESERVED,
    set_aside_in_frame,
    with_standard_names,
)
from rankfield.io.table import Table
from rankfield.io.tables import read_table
from rankfield.io.text_values import marked, text_values, unmarked
from rankfield.schema import RankingDataset

__all__ = ["read_list", "read_listed_documents"]

_DOC_IDS = ("_id", "doc_id", "id", *DOC_IDS, *PLAIN_IDS)


def read_list(
    layout: str,
    judgments: Callable[[Path, list[str]], tuple[pl.DataFrame, Table, bool]],
    src: str | Path,
    documents: str | Path | None,
    options: DatasetOptions,
) -> tuple[RankingDataset, list[str]]:
    """Return the data set of a judgment list and the documents that it rates.

    Args:
        layout: its name.
        judgments: `Layout.judgments`.
        src: the list.
        documents: the table of the documents; without one the list's own titles, if it has them.
        options: see `DatasetOptions`.

    Raises:
        DataError: a file is missing or broken, or there are no documents; see `assemble`.
    """
    path = Path(src)
    notes: list[str] = []
    queries, judged, _ = judgments(path, notes)
    if documents is None:
        texts = _titles(path, judged)
        notes.append("documents: the titles of the judgment list; name others with --documents")
    else:
        texts = read_listed_documents(Path(documents), notes)
    source = Source(
        layout=layout,
        path=path,
        root=texts.path.parent,
        tables={
            "queries": Table.counted(path, queries),
            "documents": texts,
            "judgments": judged,
        },
        fields={"queries": ["query"], "documents": ["title"] if documents is None else None},
        notes=notes,
    )
    return assemble(source, **options)


def _titles(path: Path, judgments: Table) -> Table:
    frame = judgments.frame
    if "title" not in frame.columns or frame["title"].null_count() == frame.height:
        raise DataError(
            "the judgment list holds no texts of documents",
            where=str(path),
            remedy="Name a table with them, --documents FILE, or take --judgments-only.",
        )
    titles = frame.group_by("doc_id", maintain_order=True).agg(pl.col("title").drop_nulls().first())
    return Table.counted(path, titles)


def read_listed_documents(path: Path, notes: list[str]) -> Table:
    """Read a table with a row for each document; the id in _id, doc_id, id, product_id or the like.

    Of exports of an index the keys of `_source` are the columns; bulk requests are read too.

    Raises:
        DataError: the file is missing or broken, or has no id; with file and row.
    """
    table = _without_actions(read_table(path, marks=True))
    found = find_column(table.columns, _DOC_IDS, where=str(path))
    if found is None:
        raise DataError(
            f"expected a column {', '.join(dict.fromkeys(_DOC_IDS))}, found"
            f" {', '.join(table.columns)}",
            where=str(path),
            remedy="Name the column with the document's id so.",
        )
    table = with_standard_names(table, {found: "doc_id"}, "documents", notes)
    frame = table.frame.with_columns(text_values(table.frame, "doc_id", table.where))
    if frame.schema.get("_source") == pl.String:
        frame = _with_source(path, frame, notes)
    return table.with_frame(frame)


def _without_actions(table: Table) -> Table:
    """Return the documents of a bulk request: a line {"index": {"_id": …}}, then one with its keys.

    Any other table is returned as it is.
    """
    verbs = [name for name in ("index", "create") if name in table.frame.columns]
    if not verbs or "_id" in table.frame.columns:
        return table
    actions = pl.coalesce(unmarked(verb).str.json_path_match("$._id") for verb in verbs)
    ids = table.frame.select(actions.alias("_id"))["_id"]
    follows = ids.is_not_null().shift(1, fill_value=False)
    if not (follows ^ ids.is_not_null()).all():
        row = int((~(follows ^ ids.is_not_null())).arg_max() or 0)
        raise DataError(
            'expected a line {"index": {"_id": …}} and then its document, in turns',
            where=table.where(row),
            remedy="Export the index again, or write one document a line with its _id.",
        )
    frame = table.frame.select(ids.shift(1), pl.exclude("_id", *verbs))
    return table.with_frame(frame).filter(follows)


def _with_source(path: Path, frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Return the documents with the keys of `_source` as columns, as exports of an index have."""
    objects = frame.select(unmarked("_source").fill_null("{}"))["_source"]
    lines = "\n".join(objects.to_list()).encode()
    try:
        source = pl.read_ndjson(io.BytesIO(lines), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the column '_source' cannot be read ({error})",
            where=str(path),
            remedy="Every _source is a JSON object with values of one type to a key.",
        ) from error
    nested = [name for name, kind in source.schema.items() if isinstance(kind, pl.Struct)]
    texts = [
        pl.Series(name, [None if v is None else marked(v) for v in source[name].to_list()])
        for name in nested
    ]
    source = source.with_columns(texts)
    source = set_aside_in_frame(source, ["doc_id", *RESERVED["documents"]], "documents", notes)
    hidden = [name for name in frame.columns if name.startswith("_")]
    rest = frame.drop(hidden).drop(source.columns, strict=False)
    return pl.concat([rest, source], how="horizontal")
