"""The judgments that a service kept, as data sets and recipes take them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.schema import DatasetFolder
from rankfield.serving.acts import Acts
from rankfield.serving.journal import JUDGMENTS, read_journal
from rankfield.serving.rules import Rule, RuleName

__all__ = ["combined", "graded_queries", "kept_acts", "latest_judgments", "of_dataset"]


def latest_judgments(
    folder: str | Path, *, rule: RuleName = "mean", settled_by: str | None = None
) -> pl.DataFrame:
    """Return the score of each judged pair, one row for each.

    Of each rater the last judgment of a pair counts. Those without a rater count as one. A
    judgment without a score, "cannot say", takes back what its rater said before, and is no grade.

    Args:
        folder: that the service kept (`--data`).
        rule: how grades of several raters become one score: "mean"; "median"; "majority", the
            grade given most often (of several the mean of these); or "latest".
        settled_by: a rater whose grade stands alone wherever there is one.

    Returns:
        ``query_id``, ``doc_id``, ``score``, ``raters`` (how many gave a grade), ``rule`` (which
        one the score comes from: its name, or "settled by NAME") and ``query`` (the text, if it was
        given), in the order in which pairs were judged first.

    Raises:
        DataError: no such file, or a line that is not one of a service.
        InputError: an unknown rule.
    """
    return combined(kept_acts(folder), Rule(rule, settled_by))


def kept_acts(folder: str | Path) -> Acts:
    """Return the judgments that a service kept.

    Raises:
        DataError: as `latest_judgments`.
    """
    acts = Acts()
    for _ in read_journal(Path(folder) / JUDGMENTS, "a judgment", acts.add):
        pass
    return acts


def combined(acts: Acts, rule: Rule) -> pl.DataFrame:
    """Return what `latest_judgments` does, of judgments in memory."""
    rows = []
    for (query_id, doc_id), grades in acts.grades().items():
        score, said = rule.combined(grades)
        text = next((one.query for one in reversed(grades) if one.query), None)
        rows.append((query_id, doc_id, score, len(grades), said, text))
    schema = {
        "query_id": pl.String, "doc_id": pl.String, "score": pl.Float64, "raters": pl.Int64,
        "rule": pl.String, "query": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def of_dataset(frame: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Return the judgments whose query and document a data set has.

    Raises:
        DataError: none is left, or the data set is broken.
    """
    data = DatasetFolder.load(folder)
    for table, key in (("queries", "query_id"), ("documents", "doc_id")):
        known = data.frame(table, [key])
        left = frame.join(known, on=key, how="semi", maintain_order="left")
        if left.is_empty() and not frame.is_empty():
            raise DataError(
                f"none of the {table} that were graded, such as {frame[key][0]!r}, is in it",
                where=str(folder),
                remedy="Name the data set that the served index was built of.",
            )
        frame = left
    return frame


def graded_queries(frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``query_id`` and ``query`` of the judgments of `latest_judgments`, each query once.

    A query whose text nobody gave has its id for a text.
    """
    text = pl.col("query").drop_nulls().first()
    return frame.group_by("query_id", maintain_order=True).agg(
        query=pl.coalesce(text, pl.col("query_id").first())
    )
