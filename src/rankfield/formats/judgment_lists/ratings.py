"""The ratings of a judgment list in JSON, gathered one by one, each with its place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.io.table import Table

__all__ = ["Ratings"]


@dataclass
class Ratings:
    """Query texts and rated documents, gathered one by one.

    path: the file; queries: query_id → text; places: where each judgment stands.
    """

    path: Path
    queries: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, str, float]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def add(self, query_id: str, doc_id: str, rating: object, place: str) -> None:
        """Add a judgment.

        Raises:
            DataError: the rating is no finite number.
        """
        try:
            score = float(rating)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            score = math.nan
        if not math.isfinite(score):
            found = "nothing" if rating is None else f"{rating!r:.60}"
            raise DataError(
                f"expected a finite number, found {found}",
                where=f"{self.path}, {place}, 'rating'",
                remedy="Fix or remove the rating.",
            )
        self.rows.append((query_id, doc_id, score))
        self.places.append(place)

    def tables(self) -> tuple[Table, Table]:
        """Return the queries (query_id, query) and the judgments (query_id, doc_id, score).

        Raises:
            DataError: there is no judgment.
        """
        if not self.rows:
            raise DataError(
                "expected at least one rating, found none",
                where=str(self.path),
                remedy="Name a file that holds ratings.",
            )
        texts = {"query_id": pl.String, "query": pl.String}
        queries = pl.DataFrame(list(self.queries.items()), schema=texts, orient="row")
        schema = {"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}
        judgments = pl.DataFrame(self.rows, schema=schema, orient="row")
        return Table.counted(self.path, queries), Table(self.path, judgments, self._place)

    def _place(self, row: int) -> str:
        return f"{self.path}, {self.places[row]}"
