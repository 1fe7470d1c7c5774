"""The judgments that a service kept, as data sets and recipes take them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.parsing import parse_json
from rankfield.serving.journal import JUDGMENTS

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
    path = Path(folder) / JUDGMENTS
    scores: dict[tuple[str, str], dict[str | None, float | None]] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith("\n"):
                    break  # cut off by a crash: it was never acknowledged
                try:
                    one = parse_json(line)
                    pair = (str(one["query_id"]), str(one["doc_id"]))
                    score = None if one["score"] is None else float(one["score"])
                except (ValueError, KeyError, TypeError) as error:
                    raise DataError(
                        f"expected a judgment, found something else ({error})",
                        where=f"{path}, line {number}",
                    ) from None
                scores.setdefault(pair, {})[one.get("rater")] = score
    except FileNotFoundError:
        raise DataError("there is no such file", where=str(path)) from None
    rows = [
        (query, doc, sum(known) / len(known), len(known))
        for (query, doc), by in scores.items()
        if (known := [score for score in by.values() if score is not None])
    ]
    schema = {
        "query_id": pl.String, "doc_id": pl.String, "score": pl.Float64, "raters": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")
