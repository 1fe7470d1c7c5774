from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankfield.errors import MetricError
from rankfield.evaluation import Comparison, Results, compare, evaluate
from rankfield.metrics import STANDARD_METRICS, Mean
from ranking_shop import FakeModel, ranking_shop

DATASET = ranking_shop()


def run(noise: float, *, name: str = "fake", label: str | None = None, seed: int = 0) -> Results:
    return evaluate(FakeModel(name, noise=noise, seed=seed), DATASET, label=label)


def row(comparison: Comparison, split: str, metric: str, name: str) -> dict[str, object]:
    found = comparison.table.filter(split=split, metric=metric, name=name)
    assert found.height == 1
    return found.row(0, named=True)


def test_gains_over_the_first() -> None:
    first, second = run(2.0, name="clip"), run(0.3, name="gcl")
    comparison = compare([first, second])
    assert comparison.names == ("clip", "gcl")
    assert comparison.metrics == list(STANDARD_METRICS)
    assert comparison.splits == list(first.splits)
    for split in comparison.splits:
        before, after = first.splits[split]["nDCG@10"].value, second.splits[split]["nDCG@10"].value
        assert before
        assert after
        found = row(comparison, split, "nDCG@10", "gcl")
        assert found["value"] == after
        assert found["gain_percent"] == pytest.approx(100 * (after - before) / before)
        assert found["standard_deviation"] is None
        assert row(comparison, split, "nDCG@10", "clip")["gain_percent"] is None


def test_runs_of_one_label_are_averaged() -> None:
    runs = [run(1.0, label="gcl", seed=seed) for seed in range(3)]
    comparison = compare([run(2.0, name="clip"), *runs], metrics=["ERR@10"])
    assert comparison.names == ("clip", "gcl")
    found = row(comparison, "in_domain", "ERR@10", "gcl")
    values = [float(r.splits["in_domain"]["ERR@10"].value or 0) for r in runs]
    assert found["runs"] == 3
    assert found["value"] == pytest.approx(np.mean(values))
    assert found["standard_deviation"] == pytest.approx(np.std(values, ddof=1))


def test_runs_without_a_label_stand_alone() -> None:
    assert compare([run(1.0), run(2.0), run(3.0)]).names == ("fake", "fake (2)", "fake (3)")
    assert compare([run(1.0), run(2.0, label="fake")]).names == ("fake (2)", "fake")


def test_undefined_and_zero_values_have_no_gain() -> None:
    results = run(1.0)
    for value in (None, 0.0):
        splits = {"in_domain": {"nDCG@10": Mean(value, 0)}}
        changed = replace(results, splits=splits)
        other = replace(changed, splits={"in_domain": {"nDCG@10": Mean(0.5, 4)}})
        found = row(compare([changed, other]), "in_domain", "nDCG@10", "fake (2)")
        assert found["gain_percent"] is None
    assert compare([changed]).table.schema["gain_percent"] == pl.Float64


@pytest.mark.parametrize("what", ["data", "subset", "splits", "queries"])
def test_refuses_what_cannot_be_compared(what: str) -> None:
    first = run(1.0)
    other = {
        "data": replace(first, dataset=replace(first.dataset, fingerprint="0" * 16)),
        "subset": replace(first, subset="dev"),
        "splits": evaluate(FakeModel(), DATASET, splits=["in_domain"]),
        "queries": replace(first, queries=first.queries.tail(-1)),
    }[what]
    with pytest.raises(MetricError, match=f"same {what}"):
        compare([first, other])
    forced = compare([first, other], force=True)
    assert len(forced.names) == 2
    assert forced.splits == (["in_domain"] if what == "splits" else list(first.splits))


def test_refuses_nothing_and_unknown_metrics() -> None:
    with pytest.raises(MetricError, match="at least one"):
        compare([])
    assert compare([run(1.0)], metrics=["ndcg@10", "mrr@10"]).metrics == ["nDCG@10", "RR@10"]
    with pytest.raises(MetricError, match=r"unknown metric 'nDCG@5'.*nDCG@10"):
        compare([run(1.0)], metrics=["nDCG@5"])
    one, two = (evaluate(FakeModel(), DATASET, splits=[s]) for s in ("in_domain", "zero_shot"))
    with pytest.raises(MetricError, match="no split in common"):
        compare([one, two], force=True)
