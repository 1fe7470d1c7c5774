"""The figures of a report: means with intervals, gains with their tests, the sentence on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from rankfield.evaluation import Comparison, mean_interval
from rankfield.evaluation.statistics import SIGNIFICANT
from rankfield.report.style import SPLIT_MEANINGS, SPLIT_WHERE, decimal, percent, split_title
from rankfield.schema import SPLITS

__all__ = [
    "PRIMARY",
    "Cell",
    "SplitRow",
    "about_tests",
    "paired_queries",
    "split_rows",
    "summary",
]

PRIMARY = "nDCG@10"
"""What a report is about: the metric of its comparison, however the protocol spells it."""


@dataclass(frozen=True)
class Cell:
    """One model's mean on a split, and how it differs from the first model's.

    value, low, high: the mean over queries (each with its mean over runs) and its 95 % interval.
    standard_deviation: over runs; None for one.
    gain: value / the first's − 1.
    difference, difference_low, difference_high: paired over queries, with its 95 % interval.
    p_value: of the test, by Holm's correction over all splits and models.
    of_recipes: whether that test is of recipes, by several runs, or of two models alone.
    better, worse, equal: on how many queries.

    What compares with the first model is None (the counts 0) for that model itself.
    """

    name: str
    runs: int
    value: float | None
    low: float | None = None
    high: float | None = None
    standard_deviation: float | None = None
    gain: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    of_recipes: bool = False
    better: int = 0
    worse: int = 0
    equal: int = 0

    @property
    def clear(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class SplitRow:
    """A split, how much was searched there, and a cell for each model."""

    split: str
    title: str
    meaning: str
    queries: int
    documents: int | None
    cells: tuple[Cell, ...]


def split_rows(comparison: Comparison) -> list[SplitRow]:
    """Return a row for each split of a comparison on its metric, the four known splits first."""
    order = [s for s in (*SPLITS, "all") if s in comparison.splits]
    order += [s for s in comparison.splits if s not in order]
    first = comparison.runs[comparison.names[0]][0]
    rows = []
    for split in order:
        size = first.sizes.get(split)
        table = comparison.table.filter(split=split, metric=comparison.metrics[0])
        rows.append(
            SplitRow(
                split=split,
                title=split_title(split),
                meaning=SPLIT_MEANINGS.get(split, ""),
                queries=int(table["queries"].max() or 0),  # type: ignore[arg-type]
                documents=size.documents if size else None,
                cells=tuple(_cell(comparison, split, name) for name in comparison.names),
            )
        )
    return rows


def _cell(comparison: Comparison, split: str, name: str) -> Cell:
    metric = comparison.metrics[0]
    row = comparison.table.filter(split=split, metric=metric, name=name).row(0, named=True)
    values = comparison.queries.filter(split=split, name=name)[metric]
    mean = mean_interval(values.fill_null(np.nan).to_numpy())
    test = comparison.tests.filter(split=split, metric=metric, name=name)
    compared = {}
    if test.height and row["value"] is not None:
        found = test.row(0, named=True)
        compared = {
            "gain": None if row["gain_percent"] is None else row["gain_percent"] / 100,
            "difference": found["difference"],
            "difference_low": found["low"],
            "difference_high": found["high"],
            "p_value": found["p_adjusted"] if found["queries"] else None,
            "of_recipes": found["p_seeds"] is not None,
            **{kind: found[kind] for kind in ("better", "worse", "equal")},
        }
    return Cell(
        name=name,
        runs=row["runs"],
        value=row["value"],
        low=mean.low,
        high=mean.high,
        standard_deviation=row["standard_deviation"],
        **compared,
    )


def about_tests(rows: Sequence[SplitRow]) -> str:
    """Say which tests the p of a table come from, and what they are about."""
    tested = [cell for row in rows for cell in row.cells if cell.p_value is not None]
    models = (
        "of a paired randomisation test of single runs: about these models on these queries; the "
        "same recipe with another seed may differ"
    )
    recipes = "of a bootstrap of runs and queries: about the recipes"
    if not any(cell.of_recipes for cell in tested):
        return f"The p is {models}."
    if all(cell.of_recipes for cell in tested):
        return f"The p is {recipes}."
    return f"The p is {recipes}; where each side has one run, {models}."


def paired_queries(comparison: Comparison) -> pl.DataFrame:
    """Return split, query_id, first, last and difference in the metric, where both have a value."""
    keys, metric = ["split", "query_id"], comparison.metrics[0]
    first, last = (
        comparison.queries.filter(name=name).select(*keys, pl.col(metric).alias(alias))
        for name, alias in ((comparison.names[0], "first"), (comparison.names[-1], "last"))
    )
    both = first.join(last, on=keys, maintain_order="left")
    both = both.with_columns((pl.col("last") - pl.col("first")).alias("difference"))
    return both.filter(pl.col("difference").is_finite())


def summary(names: Sequence[str], rows: Sequence[SplitRow]) -> list[str]:
    """Say in a sentence or two how the last model does against the first, also when it loses."""
    first, last = names[0], names[-1]
    if len(names) == 1:
        values = [
            f"{decimal(row.cells[0].value)} {_where(row)}"
            for row in rows
            if row.cells[0].value is not None
        ]
        if not values:
            return [f"{last} was measured on no query."]
        return [f"{last} reaches an {PRIMARY} of {_join(values)}."]
    compared = {_where(row): (row.cells[0], row.cells[-1]) for row in rows if _comparable(row)}
    if not compared:
        return [f"{last} and {first} have no common figure to compare."]
    found = [_verdict(first, last, compared), *_by_query(rows)]
    if missing := [_where(row) for row in rows if not _comparable(row) and _measured(row)]:
        found.append(f"Only one of the two has a figure {_join(missing)}.")
    if all(cell.runs == 1 for row in rows for cell in (row.cells[0], row.cells[-1])):
        found.append("Each is one run: this compares two models, not the recipes they came from.")
    return found


def _comparable(row: SplitRow) -> bool:
    return row.cells[0].value is not None and row.cells[-1].value is not None


def _measured(row: SplitRow) -> bool:
    return row.cells[0].value is not None or row.cells[-1].value is not None


def _where(row: SplitRow) -> str:
    return SPLIT_WHERE.get(row.split, f"on {row.split}")


def _verdict(first: str, last: str, compared: dict[str, tuple[Cell, Cell]]) -> str:
    """Say the gain of each split; both figures where a gain over the first is undefined."""
    parts: dict[str, list[str]] = {"better": [], "worse": [], "equal": [], "undefined": []}
    for where, (before, cell) in compared.items():
        doubt = "" if cell.clear else " (within chance)"
        if cell.gain is None and cell.value != before.value:
            figures = f"{last} has {decimal(cell.value)} and {first} {decimal(before.value)}"
            parts["undefined"].append(f"{figures} {where}{doubt}")
            continue
        change = cell.gain or 0.0
        sort = "equal" if abs(change) < 5e-4 else "better" if change > 0 else "worse"
        size = percent(abs(change))
        parts[sort].append(where if sort == "equal" else f"{size} {where}{doubt}")
    phrases = []
    for sort in ("better", "worse"):
        if parts[sort]:
            head, *rest = parts[sort]
            number, _, where = head.partition(" ")
            phrases.append(_join([f"{number} {sort} than {first} {where}", *rest]))
    if parts["equal"]:
        phrases.append(f"the same as {first} {_join(parts['equal'])}")
    verdict = f"In {PRIMARY}, {last} ranks {', but '.join(phrases[:2])}" if phrases else ""
    verdict += f", and {phrases[2]}" if len(phrases) > 2 else ""
    if parts["undefined"]:
        figures = f"{_join(parts['undefined'])}, where a relative gain is undefined"
        verdict = f"{verdict}; {figures}" if phrases else f"In {PRIMARY}, {figures}"
    return f"{verdict}."


def _by_query(rows: Sequence[SplitRow]) -> list[str]:
    counts = {
        kind: sum(getattr(row.cells[-1], kind) for row in rows)
        for kind in ("better", "worse", "equal")
    }
    total = sum(counts.values())
    if not total:
        return []
    shares = [
        f"{kind} on {percent(count / total, 0 if count >= total / 100 else 1)}"
        for kind, count in counts.items()
        if count
    ]
    return [f"Query by query, it is {_join(shares)} of the {total:,} rankings compared."]


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
