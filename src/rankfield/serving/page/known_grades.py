"""How well documents are known to answer queries: judgments of a data set, and those of raters."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path

import polars as pl

from rankfield.schema import DatasetFolder
from rankfield.schema.storing import read_errors
from rankfield.serving.journal import JUDGMENTS
from rankfield.serving.judgments import latest_judgments

__all__ = ["KnownGrades"]

_PAIR = ["query_id", "doc_id"]
_SCHEMA = pl.Schema({"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64})


class KnownGrades:
    """Scores of pairs: that of the raters where there is one, else that of the data set.

    Args:
        folder: where a service keeps what raters say; None: nowhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._state: tuple[int, int] | None = None
        self._rated = pl.DataFrame(schema=_SCHEMA)

    def of(
        self, data: DatasetFolder | None, queries: Collection[str] | None = None
    ) -> pl.DataFrame:
        """Return ``query_id``, ``doc_id``, ``score``, ``by_raters``; each pair once.

        Args:
            data: whose judgments; None: those of raters alone.
            queries: which queries; by default all.

        Raises:
            DataError: a broken table of judgments, or a line of the raters' that is none.
        """
        rated = _chosen(self._by_raters().lazy(), queries).collect()
        frames = [rated.with_columns(by_raters=pl.lit(value=True))]
        if data is not None:
            with read_errors(data.files["judgments"]):
                given = _chosen(data.lazy("judgments").select(*_SCHEMA), queries).collect()
            frames.append(given.cast(_SCHEMA).with_columns(by_raters=pl.lit(value=False)))
        return pl.concat(frames).unique(_PAIR, keep="first", maintain_order=True)

    def _by_raters(self) -> pl.DataFrame:
        if self._folder is None:
            return self._rated
        with self._lock:
            try:
                found = (self._folder / JUDGMENTS).stat()
            except OSError:
                return self._rated
            state = found.st_size, found.st_mtime_ns
            if state != self._state:
                self._rated = latest_judgments(self._folder).select(*_SCHEMA)
                self._state = state
            return self._rated


def _chosen(table: pl.LazyFrame, queries: Collection[str] | None) -> pl.LazyFrame:
    return table if queries is None else table.filter(pl.col("query_id").is_in(list(queries)))
