"""What a layout cannot hold of a data set, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from rankfield.errors import DataError
from rankfield.schema import RankingDataset

__all__ = ["lost_columns", "pair_notes", "text_field"]


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
