"""Folds pooled: figures are those of all queries together, computed here by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankfield.curation import split
from rankfield.errors import MetricError
from rankfield.evaluation import EvaluationOptions, Results, compare, evaluate, paired_test
from rankfield.evaluation.folds import are_folds, pool_folds
from ranking_shop import FakeModel, ranking_shop

SHOP = ranking_shop(split=False)


def folds_of(label: str, noise: float, *, documents: float = 0.5, seed: int = 0) -> list[Results]:
    found = []
    for number in range(3):
        data = split(SHOP, folds=3, fold=number, documents=documents, dev=0, seed=seed)
        model = FakeModel(f"{label}-{number}", noise=noise, seed=number)
        found.append(evaluate(model, data, EvaluationOptions(label=label)))
    return found


def test_figures_pooled_over_folds_are_those_of_all_queries() -> None:
    sides = {"weak": folds_of("weak", 3.0), "strong": folds_of("strong", 0.3)}
    comparison = compare([*sides["weak"], *sides["strong"]], metrics=["nDCG@10", "R@10"])
    # in_domain and novel_document hold a query in several folds.
    assert comparison.splits == ["novel_query", "zero_shot"]
    assert {name: len(runs) for name, runs in comparison.runs.items()} == {"weak": 1, "strong": 1}
    for name in comparison.splits:
        values = {}
        for label, parts in sides.items():
            by_query: dict[str, float] = {}
            for part in parts:
                for row in part.queries.filter(split=name).iter_rows(named=True):
                    assert row["query_id"] not in by_query
                    by_query[row["query_id"]] = row["nDCG@10"]
            assert set(by_query) == set(SHOP.queries["query_id"])
            values[label] = by_query
            known = [value for value in by_query.values() if value is not None]
            found = comparison.table.filter(split=name, metric="nDCG@10", name=label)
            assert found["value"].item() == pytest.approx(sum(known) / len(known), abs=1e-12)
            assert found["queries"].item() == len(known)
            of_folds = [part.splits[name]["nDCG@10"].value or 0.0 for part in parts]
            assert found["value"].item() != pytest.approx(np.mean(of_folds), abs=1e-12)
        order = list(values["weak"])
        test = paired_test(*(np.array([v[q] for q in order], dtype=float) for v in values.values()))
        found = comparison.tests.filter(split=name, metric="nDCG@10")
        assert found["difference"].item() == pytest.approx(test.difference.value)
        assert found["p_randomisation"].item() == pytest.approx(test.p_randomisation)
        assert found["queries"].item() == test.queries


def test_folds_over_queries_alone_are_all_queries_over_all_documents(tmp_path: Path) -> None:
    parts = folds_of("ours", 1.0, documents=1)
    assert [list(part.splits) for part in parts] == [["in_domain", "novel_query"]] * 3
    assert are_folds(parts)
    pooled = pool_folds(parts)
    assert list(pooled.splits) == ["novel_query"]
    size = pooled.sizes["novel_query"]
    assert (size.queries, size.documents) == (SHOP.queries.height, SHOP.documents.height)
    assert size.judgments == SHOP.judgments.height
    pooled.save(tmp_path / "pooled.json")
    again = Results.load(tmp_path / "pooled.json")
    assert again.splits == pooled.splits
    assert again.queries.equals(pooled.queries)
    assert pooled.metadata["folds"] == 3
    assert "judgments" not in pooled.metadata


def test_different_queries_are_never_paired() -> None:
    weak, strong = folds_of("weak", 3.0), folds_of("strong", 0.3)
    for wrong in (
        [weak[0], strong[1]],
        [*weak, *strong[:2]],
        [replace(weak[0], label=None), *strong],
    ):
        for force in (False, True):
            with pytest.raises(MetricError, match=r"same (queries|data)"):
                compare(wrong, force=force)
        with pytest.raises(MetricError, match="same queries"):
            compare(wrong, force=True)
    # Other folds are other trainings: on the same queries, but only by force.
    other = folds_of("other", 0.3, seed=1)
    with pytest.raises(MetricError, match="same data"):
        compare([*weak, *other])
    assert compare([*weak, *other], force=True).names == ("weak", "other")


def test_what_are_no_folds() -> None:
    parts = folds_of("ours", 1.0)
    assert not are_folds(parts[:1])
    assert not are_folds([parts[0], parts[0]])
    assert not are_folds([parts[0], replace(parts[1], protocol="beir")])
    other = replace(parts[1].dataset, name="books")
    assert not are_folds([parts[0], replace(parts[1], dataset=other)])
    with pytest.raises(MetricError, match="found a query in two"):
        pool_folds([parts[0], parts[0]])
    with pytest.raises(MetricError, match="found a query in two"):
        pool_folds([])
    fewer = {name: dict(list(means.items())[:2]) for name, means in parts[1].splits.items()}
    with pytest.raises(MetricError, match="same protocol and metrics"):
        pool_folds([parts[0], replace(parts[1], splits=fewer)])
    assert pl.concat([part.queries for part in parts]).height > 0
