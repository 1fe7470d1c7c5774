"""The order in which queries are graded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from rankfield.metrics import measure
from rankfield.schema import ScoreScale
from rankfield.serving.acts import Grades
from rankfield.serving.agreement import spread
from rankfield.serving.page.measured import judged_lists
from rankfield.serving.rules import Rule

__all__ = ["Ordered", "by_disagreement", "by_ndcg", "by_unjudged", "ordered"]

Found = Mapping[str, Sequence[str]]
"""Query → ids of its results, best first."""


@dataclass(frozen=True)
class Ordered:
    """A query at its place, with what it is ordered by; None where that is not known."""

    query_id: str
    value: float | None
    said: str


def ordered(
    queries: Sequence[str], values: Mapping[str, tuple[float, str]], *, descending: bool
) -> list[Ordered]:
    """Return queries by their values; equal ones as they are given, those without one last."""
    known = [Ordered(query, *values[query]) for query in queries if query in values]
    known.sort(key=lambda one: one.value or 0.0, reverse=descending)
    return known + [Ordered(query, None, "") for query in queries if query not in values]


def by_ndcg(
    found: Found, grades: Grades, rule: Rule, scale: ScoreScale
) -> dict[str, tuple[float, str]]:
    """Return nDCG@10 of the queries that were searched for and graded.

    Where no grade is worth anything it is not defined, and such a query counts as 0.
    """
    judged = [
        (query, doc, rule.combined(acts)[0])
        for (query, doc), acts in grades.items()
        if query in found
    ]
    if not judged:
        return {}
    graded = {query: found[query] for query, _, _ in judged}
    schema = {"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}
    joined = judged_lists(graded, pl.DataFrame(judged, schema, orient="row"))
    values = measure("nDCG@10", joined.rankings, scale).tolist()
    return {
        query: (0.0, "nothing good") if math.isnan(value) else (value, f"{value:.3f}")
        for query, value in zip(joined.queries, values, strict=True)
    }


def by_disagreement(grades: Grades) -> dict[str, tuple[float, str]]:
    """Return the sum over documents of the widest difference of grades, of queries with any."""
    found: dict[str, list[float]] = {}
    for (query, _), acts in grades.items():
        if apart := spread(acts):
            found.setdefault(query, []).append(apart)
    return {
        query: (sum(apart), f"{sum(apart):g} in {len(apart)}") for query, apart in found.items()
    }


def by_unjudged(found: Mapping[str, Found], grades: Grades) -> dict[str, tuple[float, str]]:
    """Return the share without a grade of what any index finds, of queries that all know."""
    shares = {}
    for query in set.intersection(*(set(lists) for lists in found.values())):
        pool = {doc for lists in found.values() for doc in lists[query]}
        left = sum((query, doc) not in grades for doc in pool)
        shares[query] = (left / (len(pool) or 1), f"{left} of {len(pool)}")
    return shares
