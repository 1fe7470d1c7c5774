"""The judgments that a service kept, as data sets and recipes take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from rankfield.serving.journal import JUDGMENTS, read_journal

__all__ = ["latest_judgments"]


def latest_judgments(folder: str | Path) -> pl.DataFrame:
    """Return ``query_id``, ``doc_id``, ``score`` and ``raters``, one row for each judged pair.

    Of each rater the last judgment of a pair counts; the score is the mean over raters, in the
    order in which pairs were judged first. Those without a rater count as one.
    A judgment without a score, "cannot say" or one that was undone, takes back what its rater
    said before.

    Args:
        folder: that the service kept (`--data`).

    Raises:
        DataError: no such file, or a line that is not one of a service.
    """
    scores: dict[tuple[str, str], dict[str | None, float | None]] = {}
    for pair, rater, score in read_journal(Path(folder) / JUDGMENTS, "a judgment", _judgment):
        scores.setdefault(pair, {})[rater] = score
    rows = [
        (query, doc, sum(known) / len(known), len(known))
        for (query, doc), by in scores.items()
        if (known := [score for score in by.values() if score is not None])
    ]
    schema = {
        "query_id": pl.String, "doc_id": pl.String, "score": pl.Float64, "raters": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _judgment(one: Any) -> tuple[tuple[str, str], str | None, float | None]:
    """Return query and document, rater, and score of a line."""
    pair = (str(one["query_id"]), str(one["doc_id"]))
    return pair, one.get("rater"), None if one["score"] is None else float(one["score"])
