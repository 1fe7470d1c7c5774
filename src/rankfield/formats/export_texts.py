"""The texts of a data set, for layouts that hold nothing else."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from rankfield.errors import DataError
from rankfield.field_values import is_absent
from rankfield.schema import RankingDataset

__all__ = ["joined_texts", "query_texts", "text_fields"]


def text_fields(dataset: RankingDataset, table: str, layout: str, notes: list[str]) -> list[str]:
    """Return the names of a table's text fields; notes the picture fields that are left behind.

    Raises:
        DataError: the table has no text field.
    """
    texts = [f.name for f in dataset.fields(table) if f.modality == "text"]
    pictures = [f.name for f in dataset.fields(table) if f.modality == "image"]
    if not texts:
        raise DataError(
            f"the layout {layout} holds texts, and the {table} have none",
            where=str(dataset.root or dataset.name),
            remedy="Export to the layout tables, which keeps pictures.",
        )
    if pictures:
        notes.append(f"{table}: left behind the pictures of {', '.join(pictures)}")
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
