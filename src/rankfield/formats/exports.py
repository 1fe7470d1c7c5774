"""What every export shares: its texts, its record, and notes on what the layout cannot hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from rankfield import __version__
from rankfield.errors import DataError
from rankfield.field_values import is_absent
from rankfield.files import write_json
from rankfield.schema import RankingDataset

__all__ = [
    "RECORD",
    "export_line",
    "export_record",
    "joined_texts",
    "lost_columns",
    "pair_notes",
    "query_texts",
    "text_field",
    "text_fields",
    "write_record",
]


def text_field(dataset: RankingDataset, table: str) -> str:
    """Return the first text field of "queries" or "documents".

    Raises:
        DataError: there is none.
    """
    for f in dataset.fields(table):
        if f.modality == "text":
            return f.name
    raise DataError(
        f"the {table} have no text field, and the layout needs one",
        where=dataset.name,
        remedy="Import the data set again with a text field, or choose another layout.",
    )


def lost_columns(
    dataset: RankingDataset, kept: Mapping[str, Collection[str]], notes: list[str]
) -> None:
    """Note the columns of the tables in `kept` that are not kept, and what no layout holds."""
    for table, names in kept.items():
        frame: pl.DataFrame = getattr(dataset, table)
        if lost := [name for name in frame.columns if name not in names]:
            notes.append(f"{table}: the layout has no place for {', '.join(lost)}")
    notes.append(
        f"not in the layout: field weights, the score scale ({dataset.score_scale}), provenance"
    )


def pair_notes(
    dataset: RankingDataset,
    *,
    queries: Collection[str] = (),
    documents: Collection[str] | None = None,
) -> list[str]:
    """Return one per line for what layouts of judged pairs lose, whose queries are one text.

    Args:
        dataset: what is written.
        queries, documents: columns that the layout can hold, besides the ids and the queries'
            first text field; all of the documents if None.

    Raises:
        DataError: the queries have no text field.
    """
    first, notes = text_field(dataset, "queries"), list[str]()
    kept = {"queries": ["query_id", first, *queries]}
    if documents is not None:
        kept["documents"] = ["doc_id", *documents]
    lost_columns(dataset, kept, notes)
    if first != "query":
        notes.append(f"queries: the field {first!r} is called 'query'")
    judged = dataset.judgments["query_id"].unique().implode()
    if unjudged := int((~dataset.queries["query_id"].is_in(judged)).sum()):
        notes.append(f"queries: {unjudged:,} without a judgment are left out")
    return notes


RECORD = "rankfield.json"
"""The file in an exported folder that says how it was made."""


def export_record(dataset: RankingDataset, layout: str, **options: Any) -> dict[str, Any]:
    """Return the version, the options, and what the data set says of itself."""
    return {
        "made_by": f"rankfield {__version__}, export {layout}",
        "options": options,
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "query_fields": [asdict(f) for f in dataset.query_fields],
        "document_fields": [asdict(f) for f in dataset.document_fields],
        "score": asdict(dataset.score_scale),
        "provenance": asdict(dataset.provenance),
    }


def export_line(dataset: RankingDataset) -> str:
    """Return the same in a line: version, name and fingerprint."""
    return f"made by rankfield {__version__} from {dataset.name}, {dataset.fingerprint()}"


def write_record(folder: Path, dataset: RankingDataset, layout: str, **options: Any) -> None:
    """Write `export_record` into an exported folder."""
    write_json(folder / RECORD, export_record(dataset, layout, **options))


def text_fields(dataset: RankingDataset, table: str, layout: str, notes: list[str]) -> list[str]:
    """Return the names of a table's text fields; notes the image fields that are left behind.

    Raises:
        DataError: the table has no text field.
    """
    texts = [f.name for f in dataset.fields(table) if f.modality == "text"]
    images = [f.name for f in dataset.fields(table) if f.modality == "image"]
    if not texts:
        raise DataError(
            f"the layout {layout} holds texts, and the {table} have none",
            where=str(dataset.root or dataset.name),
            remedy="Export to the layout tables, which keeps images.",
        )
    if images:
        notes.append(f"{table}: left behind the images of {', '.join(images)}")
    return texts


def joined_texts(frame: pl.DataFrame, names: Collection[str], *, line: bool = False) -> pl.Expr:
    """Return the texts that are present, with a line break (a blank if `line`) between them.

    With `line`, tabs and line breaks within a text become blanks too.
    """
    present = [name for name in names if name in frame.columns]
    texts = [pl.when(~is_absent(n, pl.String())).then(pl.col(n)) for n in present]
    joined = pl.concat_str(texts, separator=" " if line else "\n", ignore_nulls=True)
    return joined.str.replace_all(r"[\t\r\n]+", " ") if line else joined


def query_texts(dataset: RankingDataset, layout: str, notes: list[str]) -> pl.Series:
    """Return the text of each query on one line: its text fields joined.

    Raises:
        DataError: the queries have no text field, or one query has no text.
    """
    names = text_fields(dataset, "queries", layout, notes)
    if len(names) > 1:
        notes.append(f"queries: the fields {', '.join(names)} are joined to one text")
    broken = pl.any_horizontal(pl.col(name).str.contains(r"[\t\r\n]") for name in names)
    if count := int(dataset.queries.select(broken.sum()).item()):
        notes.append(f"queries: tabs and line breaks became blanks in {count:,}")
    texts = dataset.queries.select(text=joined_texts(dataset.queries, names, line=True))["text"]
    empty = texts.to_frame("text").select(is_absent("text", pl.String()))["text"]
    if empty.any():
        row = int(empty.arg_max() or 0)
        raise DataError(
            "the query has no text",
            where=f"{dataset.root or dataset.name}, queries, row {row} (counted from 0)",
            remedy="Remove it, or export to the layout tables.",
        )
    return texts
