from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankfield.errors import InputError, MetricError, OutputError
from rankfield.evaluation import (
    Comparison,
    DatasetIdentity,
    EvaluationOptions,
    Results,
    compare,
    evaluate,
    holm,
    paired_test,
)
from rankfield.evaluation.comparison_file import save_comparison
from rankfield.metrics import STANDARD_METRICS, Mean
from ranking_shop import FakeModel, ranking_shop

DATASET = ranking_shop()


def run(noise: float, *, name: str = "fake", label: str | None = None, seed: int = 0) -> Results:
    return evaluate(
        FakeModel(name, noise=noise, seed=seed), DATASET, EvaluationOptions(label=label)
    )


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


@pytest.mark.parametrize("what", ["protocol", "data", "subset", "score", "splits", "queries"])
def test_refuses_what_cannot_be_compared(what: str) -> None:
    first = run(1.0)
    # as earlier versions wrote it, which did not say of which judgments it is
    first = replace(first, metadata={"k": 1000})
    other = {
        "protocol": replace(first, protocol="beir"),
        "data": replace(first, dataset=replace(first.dataset, fingerprint="0" * 16)),
        "subset": replace(first, subset="dev"),
        "score": replace(first, metadata=first.metadata | {"gain_floor": 0.0}),
        "splits": evaluate(FakeModel(), DATASET, EvaluationOptions(splits=["in_domain"])),
        "queries": replace(first, queries=first.queries.tail(-1)),
    }[what]
    with pytest.raises(MetricError, match=f"same {what}"):
        compare([first, other])
    if what == "queries":
        with pytest.raises(MetricError, match="same queries"):
            compare([first, other], force=True)
        return
    forced = compare([first, other], force=True)
    assert len(forced.names) == 2
    assert forced.splits == (["in_domain"] if what == "splits" else list(first.splits))


def test_the_same_judgments_compare_wherever_they_lie() -> None:
    first = run(1.0)
    other = replace(first, dataset=DatasetIdentity("elsewhere", "0" * 16), subset="all")
    assert compare([first, other]).splits == list(first.splits)
    for changed in (
        {"judgments": first.metadata["judgments"] | {"zero_shot": "1" * 16}},
        {"scale": first.metadata["scale"] | {"maximum": 3}},
    ):
        with pytest.raises(MetricError, match="same data"):
            compare([first, replace(other, metadata=first.metadata | changed)])
    scale = first.metadata["scale"] | {"relevant": 2}
    with pytest.raises(MetricError, match=r"same scale of the scores.*relevant 1 and"):
        compare([first, replace(first, metadata=first.metadata | {"scale": scale})])


def test_refuses_nothing_and_unknown_metrics() -> None:
    with pytest.raises(MetricError, match="at least one"):
        compare([])
    assert compare([run(1.0)], metrics=["ndcg@10", "mrr@10"]).metrics == ["nDCG@10", "RR@10"]
    with pytest.raises(MetricError, match=r"unknown metric 'nDCG@5'.*nDCG@10"):
        compare([run(1.0)], metrics=["nDCG@5"])
    one, two = (
        evaluate(FakeModel(), DATASET, EvaluationOptions(splits=[s]))
        for s in ("in_domain", "zero_shot")
    )
    with pytest.raises(MetricError, match="no split in common"):
        compare([one, two], force=True)


def test_unknown_metrics_suggest_the_near_one() -> None:
    with pytest.raises(MetricError, match=r"Did you mean 'Judged@10'\?"):
        compare([run(1.0)], metrics=["Judged@1"])
    with pytest.raises(MetricError, match=r"Did you mean 'nDCG@10'\?"):
        compare([run(1.0)], metrics=["ndgc@10"])


def test_each_run_is_tested_against_the_first() -> None:
    runs = [run(noise, name=name) for noise, name in ((2.0, "a"), (0.5, "b"), (1.0, "c"))]
    comparison = compare(runs, metrics=["nDCG@10", "mAP@1000"])
    tests = comparison.tests
    assert tests.height == 4 * 2 * 2
    assert tests.columns == [
        *("split", "metric", "name", "queries", "difference", "low", "high"),
        *("p_randomisation", "p_bootstrap", "p_seeds", "p_adjusted", "better", "worse", "equal"),
    ]
    np.testing.assert_allclose(tests["p_adjusted"], holm(tests["p_randomisation"].to_numpy()))
    for found in tests.iter_rows(named=True):
        first, other = (
            runs["abc".index(name)]
            .queries.filter(split=found["split"])[found["metric"]]
            .fill_null(np.nan)
            .to_numpy()
            for name in ("a", found["name"])
        )
        expected = paired_test(first, other)
        assert found["difference"] == pytest.approx(expected.difference.value)
        assert found["low"] == pytest.approx(expected.difference.low)
        assert found["p_randomisation"] == expected.p_randomisation
        assert found["p_bootstrap"] == pytest.approx(expected.p_bootstrap)
        assert (found["better"], found["queries"]) == (expected.better, expected.queries)
    assert compare([runs[0]]).tests.height == 0


def test_a_query_counts_once_with_its_mean_over_runs() -> None:
    seeds = [run(1.0, label="many", seed=seed) for seed in range(3)]
    comparison = compare([run(2.0, name="one"), *seeds], metrics=["ERR@10"])
    mean = np.mean([r.queries["ERR@10"].to_numpy() for r in seeds], axis=0)
    found = comparison.queries.filter(name="many")
    assert found["query_id"].to_list() == seeds[0].queries["query_id"].to_list()
    np.testing.assert_allclose(found["ERR@10"], mean)
    assert comparison.tests.filter(split="in_domain")["queries"].item() == 10
    assert row(comparison, "in_domain", "ERR@10", "many")["value"] == pytest.approx(
        found.filter(split="in_domain")["ERR@10"].mean()
    )


@pytest.mark.parametrize("ending", ["json", "csv", "parquet"])
def test_a_comparison_is_written(tmp_path: Path, ending: str) -> None:
    comparison = compare([run(2.0, name="a"), run(0.5, name="b")], metrics=["nDCG@10"])
    path = tmp_path / f"c.{ending}"
    save_comparison(comparison, path)
    if ending == "json":
        value = json.loads(path.read_text())
        assert value["table"] == comparison.table.to_dicts()
        assert value["tests"] == comparison.tests.to_dicts()
        assert value["runs"]["a"][0]["dataset"]["fingerprint"] == DATASET.fingerprint()
    else:
        found = pl.read_csv(path) if ending == "csv" else pl.read_parquet(path)
        assert found["value"].to_list() == comparison.table["value"].to_list()
        tested = found.filter(pl.col("name") == "b")
        np.testing.assert_allclose(tested["p_adjusted"], comparison.tests["p_adjusted"])
        assert found.filter(pl.col("name") == "a")["p_adjusted"].null_count() == 4
    if ending == "parquet":
        runs = json.loads(pl.read_parquet_metadata(path)["runs"])
        assert runs["b"][0]["made"]["k"] == 1000
    with pytest.raises(OutputError, match="already exists"):
        save_comparison(comparison, path)
    save_comparison(comparison, path, overwrite=True)


def test_refuses_files_that_cannot_hold_a_comparison(tmp_path: Path) -> None:
    comparison = compare([run(2.0)])
    with pytest.raises(InputError, match=r"ends with \.json, \.csv, \.parquet, found 'c\.xlsx'"):
        save_comparison(comparison, tmp_path / "c.xlsx")
    with pytest.raises(InputError, match="cannot hold slices"):
        save_comparison(comparison, tmp_path / "c.csv", slices={"length": pl.DataFrame()})
    assert list(tmp_path.iterdir()) == []


def test_each_baseline_is_tested_and_holm_counts_all_tests() -> None:
    comparison = compare(
        [run(4.0, name="bm25"), run(2.0, name="clip"), run(0.3, name="gcl")],
        metrics=["nDCG@10", "RR@10"],
    )
    found = comparison.tests_against(["bm25", "clip"])
    pairs = found.select("against", "name").unique(maintain_order=True).rows()
    assert pairs == [("bm25", "clip"), ("bm25", "gcl"), ("clip", "gcl")]
    assert found.height == 3 * 2 * len(comparison.splits)
    assert comparison.tests_against().equals(found), "of three names these are all pairs"
    np.testing.assert_allclose(found["p_adjusted"], holm(found["p_randomisation"].to_numpy()))
    split = comparison.splits[0]
    values = {
        name: comparison.queries.filter(split=split, name=name)["RR@10"].to_numpy()
        for name in ("clip", "gcl")
    }
    by_hand = paired_test(values["clip"], values["gcl"])
    test = found.filter(split=split, metric="RR@10", name="gcl", against="clip").row(0, named=True)
    assert test["difference"] == pytest.approx(by_hand.difference.value)
    assert test["p_randomisation"] == pytest.approx(by_hand.p_randomisation)
    with pytest.raises(MetricError, match=r"no results of 'bm52'.*Did you mean 'bm25'"):
        comparison.tests_against(["bm52"])
