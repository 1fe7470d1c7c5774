"""What a layout cannot hold of a data set, in words."""

from __future__ import annotations

from collections.abc import Sequence

from rankfield.errors import DataError
from rankfield.schema import RankingDataset

__all__ = ["lost_columns", "text_field"]


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


def lost_columns(dataset: RankingDataset, *, query_columns: Sequence[str] = ()) -> list[str]:
    """Return a line each for what layouts of text queries and one score lose.

    Args:
        dataset: what is written.
        query_columns: those that the layout can hold, besides the id and the first text field.

    Raises:
        DataError: the queries have no text field.
    """
    notes = []
    first = text_field(dataset, "queries")
    if lost := [c for c in dataset.queries.columns if c not in ("query_id", first, *query_columns)]:
        notes.append(f"queries: the layout has no place for {', '.join(lost)}")
    if first != "query":
        notes.append(f"queries: the field {first!r} is called 'query'")
    judged = dataset.judgments["query_id"].unique().implode()
    if unjudged := int((~dataset.queries["query_id"].is_in(judged)).sum()):
        notes.append(f"queries: {unjudged:,} without a judgment are left out")
    scale = dataset.score_scale
    notes.append(
        f"not in the layout: field weights, the score scale ({scale.minimum:g} to"
        f" {scale.maximum:g}, relevant from {scale.relevant:g}), provenance"
    )
    return notes
