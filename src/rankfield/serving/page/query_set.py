"""The queries to grade: those of the data set that an index was built of, or of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankfield.errors import DataError, ImageError
from rankfield.field_values import first_value
from rankfield.schema import DatasetFolder, ScoreScale
from rankfield.serving.query_file import ListedQuery

__all__ = ["GradedQuery", "QuerySet", "levels"]

_DIGITS = 10


@dataclass(frozen=True)
class GradedQuery:
    """A query of a set: its id, what is shown of it, and its text and image."""

    query_id: str
    title: str
    text: str | None
    image: str | bytes | None


class QuerySet:
    """Queries in their order.

    Args:
        data: whose queries, images and scale.
        listed: other queries in their place. One without an id is the first of the data set with
            its text; if there is none, its text is its id.

    Raises:
        DataError: the table of queries is broken, or a listed query has the id of another one.
    """

    def __init__(self, data: DatasetFolder, listed: Sequence[ListedQuery] = ()) -> None:
        self._data = data
        first: dict[str, str] = {}
        for field in data.query_fields:
            first.setdefault(field.modality, field.name)
        frame = data.frame("queries", ["query_id", *first.values()])
        rows = frame.iter_rows(named=True)
        self.queries = {row["query_id"]: _query(row, first) for row in rows}
        if listed:
            self.queries = _listed(listed, self.queries)
        self.scale = data.score_scale

    def next_of(self, query_id: str, done: set[str]) -> str | None:
        """Return the first query after this one, around the end, that is not done."""
        ids = list(self.queries)
        at = ids.index(query_id) + 1
        return next((one for one in ids[at:] + ids[: at - 1] if one not in done), None)

    def part(self, query: GradedQuery) -> dict[str, Any]:
        """Return a query as a part of a search.

        Raises:
            DataError: a path that leads out of the data set's folder.
            ImageError: an image that is gone.
        """
        part: dict[str, Any] = {"text": query.text} if query.text else {}
        if query.image:
            source = self._data.image_source(query.image)
            try:
                part["image"] = source.read_bytes() if isinstance(source, Path) else source
            except OSError as error:
                raise ImageError(
                    f"cannot be read ({error.strerror})", where="query, image"
                ) from None
        return part


def levels(scale: ScoreScale) -> list[tuple[int, float]]:
    """Return digit → score: the whole numbers of a scale inside 0 … 9, or else five equal steps."""
    low, high = float(scale.minimum), float(scale.maximum)
    if low.is_integer() and high.is_integer() and 0 <= low < high < _DIGITS:
        return [(digit, float(digit)) for digit in range(int(low), int(high) + 1)]
    return [(digit, low + (high - low) * digit / 4) for digit in range(5)]


def _query(row: dict[str, Any], first: dict[str, str]) -> GradedQuery:
    text = first_value(row[first["text"]]) if "text" in first else None
    image = first_value(row[first["image"]]) if "image" in first else None
    return GradedQuery(row["query_id"], text or f"query {row['query_id']}", text, image)


def _listed(
    listed: Sequence[ListedQuery], known: Mapping[str, GradedQuery]
) -> dict[str, GradedQuery]:
    """Return the queries of a file with the ids of the data set."""
    by_text: dict[str | None, str] = {}
    for query in known.values():
        by_text.setdefault(query.text, query.query_id)
    found: dict[str, GradedQuery] = {}
    for one in listed:
        query_id = one.query_id or by_text.get(one.text, one.text)
        same = known.get(query_id)
        if same is not None and same.text != one.text:
            raise DataError(
                f"the query {query_id[:100]!r} of the data set is {same.title[:100]!r}, and here "
                f"{one.text[:100]!r}",
                where=one.where,
                remedy="Use other ids, or none: then texts are looked up.",
            )
        if query_id in found:
            raise DataError(f"the query {query_id[:100]!r} is duplicated", where=one.where)
        found[query_id] = same or GradedQuery(query_id, one.text, one.text, None)
    return found
