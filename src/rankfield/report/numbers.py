"""The figures of a report: gains, paired differences, and the sentence that sums them up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from rankfield.evaluation import Results
from rankfield.report.style import SPLIT_TITLES, SPLIT_WHERE, decimal, signed_percent
from rankfield.schema import SPLITS

__all__ = [
    "PRIMARY",
    "PairedDifference",
    "gain",
    "metric_names",
    "metric_value",
    "model_name",
    "paired_difference",
    "paired_queries",
    "query_count",
    "split_names",
    "summary",
]

PRIMARY = "nDCG@10"
"""The metric that a report is about."""


def model_name(result: Results) -> str:
    """Return what the page calls a model: its label, or its own name."""
    return result.label or result.model


def split_names(results: Sequence[Results]) -> list[str]:
    """Return the splits that any of the results has, the four known ones first."""
    present = {name for result in results for name in result.splits}
    known = [name for name in (*SPLITS, "all") if name in present]
    return known + sorted(present - set(SPLIT_TITLES))


def metric_names(results: Sequence[Results], split: str) -> list[str]:
    """Return the metrics that any of the results has on a split, in the order first met."""
    return list(dict.fromkeys(m for result in results for m in result.splits.get(split, {})))


def metric_value(result: Results, split: str, metric: str = PRIMARY) -> float | None:
    """Return a mean, or None where it was not measured or has no query."""
    mean = result.splits.get(split, {}).get(metric)
    known = mean is not None and mean.value is not None and math.isfinite(mean.value)
    return mean.value if mean is not None and known else None


def query_count(result: Results, split: str, metric: str = PRIMARY) -> int:
    """Return how many queries a mean is over."""
    mean = result.splits.get(split, {}).get(metric)
    return 0 if mean is None else mean.queries


def gain(value: float | None, base: float | None) -> float | None:
    """Return value / base − 1, or None where it is undefined."""
    return None if value is None or not base else value / base - 1


@dataclass(frozen=True)
class PairedDifference:
    """The mean difference over the queries that both have, and its 95 % half-width.

    The half-width is 1.96 · s / √n with s the sample deviation of the differences: the normal
    approximation of the paired interval.
    """

    mean: float
    half_width: float
    better: int
    worse: int
    equal: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return abs(self.mean) > self.half_width


def paired_queries(first: Results, last: Results) -> pl.DataFrame:
    """Return split, query_id, first, last and difference of NDCG@10, where both have a value."""
    empty = pl.DataFrame(
        schema={"split": pl.String, "query_id": pl.String, "first": pl.Float64, "last": pl.Float64}
    )
    keys = ["split", "query_id"]
    if PRIMARY in first.queries.columns and PRIMARY in last.queries.columns:
        empty = first.queries.select(*keys, pl.col(PRIMARY).cast(pl.Float64).alias("first")).join(
            last.queries.select(*keys, pl.col(PRIMARY).cast(pl.Float64).alias("last")), on=keys
        )
    both = empty.with_columns((pl.col("last") - pl.col("first")).alias("difference"))
    return both.filter(pl.col("difference").is_finite())


def paired_difference(first: Results, last: Results, split: str) -> PairedDifference | None:
    """Compare two results on the same queries of a split; None below two common queries."""
    differences = paired_queries(first, last).filter(pl.col("split") == split)["difference"]
    if len(differences) < 2:
        return None
    deviation = float(differences.std() or 0.0)  # type: ignore[arg-type]
    better, worse = int((differences > 1e-9).sum()), int((differences < -1e-9).sum())
    return PairedDifference(
        mean=float(differences.mean()),  # type: ignore[arg-type]
        half_width=1.96 * deviation / math.sqrt(len(differences)),
        better=better,
        worse=worse,
        equal=len(differences) - better - worse,
    )


def summary(results: Sequence[Results]) -> list[str]:
    """Say in a sentence or two how the last model does against the first, also when it loses."""
    first, last = results[0], results[-1]
    splits = split_names(results)
    if len(results) == 1:
        values = [
            f"{decimal(value)} {SPLIT_WHERE.get(split, f'on {split}')}"
            for split in splits
            if (value := metric_value(last, split)) is not None
        ]
        if not values:
            return [f"{model_name(last)} was measured on no query."]
        return [f"{model_name(last)} reaches an NDCG@10 of {_join(values)}."]
    gains = {
        split: change
        for split in splits
        if (change := gain(metric_value(last, split), metric_value(first, split))) is not None
    }
    if not gains:
        return [f"{model_name(last)} and {model_name(first)} have no common figure to compare."]
    return [_verdict(model_name(first), model_name(last), gains), *_by_query(first, last)]


def _verdict(first: str, last: str, gains: dict[str, float]) -> str:
    parts: dict[str, list[str]] = {"better": [], "worse": [], "equal": []}
    for split, change in gains.items():
        where = SPLIT_WHERE.get(split, f"on {split}")
        percent = signed_percent(change).lstrip("+−±")
        sort = "equal" if abs(change) < 5e-4 else "better" if change > 0 else "worse"
        parts[sort].append(where if sort == "equal" else f"{percent} {where}")
    phrases = []
    for sort in ("better", "worse"):
        if parts[sort]:
            head, *rest = parts[sort]
            number, _, where = head.partition(" ")
            phrases.append(_join([f"{number} {sort} than {first} {where}", *rest]))
    if parts["equal"]:
        phrases.append(f"the same as {first} {_join(parts['equal'])}")
    return f"In NDCG@10, {last} ranks {', but '.join(phrases[:2])}" + (
        f", and {phrases[2]}." if len(phrases) > 2 else "."
    )


def _by_query(first: Results, last: Results) -> list[str]:
    differences = paired_queries(first, last)["difference"]
    if differences.is_empty():
        return []
    total = len(differences)
    better, worse = int((differences > 1e-9).sum()), int((differences < -1e-9).sum())
    counts = {"better": better, "worse": worse, "equal": total - better - worse}
    shares = [
        f"{sort} on {100 * count / total:.0f}\N{NO-BREAK SPACE}%"
        for sort, count in counts.items()
        if count
    ]
    return [f"Query by query, it is {_join(shares)} of the {total:,} rankings compared."]


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
