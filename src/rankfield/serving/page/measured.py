"""Metrics of ranked lists of ids, by the judgments that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from rankfield.evaluation import JudgedRun, join_run

__all__ = ["judged_lists", "ranked_run"]


def judged_lists(lists: Mapping[str, Sequence[str]], judgments: pl.DataFrame) -> JudgedRun:
    """Return ranked lists with the scores that judgments give them.

    Args:
        lists: query → ids of documents, best first.
        judgments: ``query_id``, ``doc_id``, ``score``; each pair once. Lists of other queries are
            left out.
    """
    return join_run(judgments, ranked_run(lists), ties="file", ignore_unknown=True)


def ranked_run(lists: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Return ranked lists as a run whose scores go by place: scores of several arms may tie."""
    rows = [(query, doc, -rank) for query, docs in lists.items() for rank, doc in enumerate(docs)]
    schema = {"query_id": pl.String, "doc_id": pl.String, "score": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")
