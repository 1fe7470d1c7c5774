from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankfield import __version__
from rankfield.errors import InputError, OutputError
from rankfield.evaluation import EvaluationOptions, ModelRanker, Results, evaluate, mean_interval
from rankfield.metrics import STANDARD_METRICS
from ranking_shop import FakeModel, ranking_shop


def test_save_and_load(tmp_path: Path) -> None:
    dataset = ranking_shop().save(tmp_path / "data")
    results = evaluate(FakeModel(noise=1.0), dataset, EvaluationOptions(label="a"))
    results.save(tmp_path / "deep" / "a.b.json")
    loaded = Results.load(tmp_path / "deep" / "a.b.json")
    assert loaded.queries.equals(results.queries)
    assert loaded.rankings.equals(results.rankings)
    assert loaded.to_json() == results.to_json()
    assert loaded.splits == results.splits
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == [
        "a.b.json",
        "a.b.queries.parquet",
        "a.b.rankings.parquet",
    ]


def test_loads_files_with_the_older_names_of_metrics(tmp_path: Path) -> None:
    results = evaluate(FakeModel(noise=1.0), ranking_shop())
    older = dict(
        zip(
            STANDARD_METRICS,
            [
                "ndcg@10",
                "ndcg_exp@10",
                "err@10",
                "rbp@10",
                "mrr@10",
                "map@1000",
                "recall@10",
                "recall@100",
                "recall@1000",
                "precision@10",
                "judged@10",
            ],
            strict=True,
        )
    )
    replace(
        results,
        splits={
            split: {older[name]: mean for name, mean in means.items()}
            for split, means in results.splits.items()
        },
        queries=results.queries.rename(older),
    ).save(tmp_path / "old.json")
    loaded = Results.load(tmp_path / "old.json")
    assert loaded.splits == results.splits
    assert loaded.queries.equals(results.queries)


def test_loads_rankings_whose_judged_score_was_called_score(tmp_path: Path) -> None:
    results = evaluate(FakeModel(noise=1.0), ranking_shop())
    columns = ["split", "query_id", "rank", "doc_id", "similarity", "judged_score"]
    assert results.rankings.columns == columns
    older = results.rankings.rename({"judged_score": "score"})
    replace(results, rankings=older).save(tmp_path / "old.json")
    assert Results.load(tmp_path / "old.json").rankings.equals(results.rankings)


def test_the_form_of_results_json(tmp_path: Path) -> None:
    dataset = ranking_shop().save(tmp_path / "data")
    evaluate(FakeModel("mine"), dataset).save(tmp_path / "r.json")
    stored = json.loads((tmp_path / "r.json").read_text())
    assert set(stored["splits"]) == {"in_domain", "novel_query", "novel_document", "zero_shot"}
    assert set(stored["splits"]["in_domain"]["nDCG@10"]) == {"value", "queries", "low", "high"}
    assert stored["model"] == "mine"
    assert stored["dataset"] == {
        "name": "shop",
        "fingerprint": dataset.fingerprint(),
        "path": "data",
    }
    assert stored["subset"] == "test"
    assert stored["rankfield"] == __version__


def test_the_fingerprint_is_the_same_on_disk(tmp_path: Path) -> None:
    dataset = ranking_shop()
    assert dataset.save(tmp_path / "data").fingerprint() == dataset.fingerprint()
    other = dataset.with_tables(documents=dataset.documents.with_columns(title=pl.lit("x")))
    assert other.fingerprint() != dataset.fingerprint()


def test_refuses_to_overwrite(tmp_path: Path) -> None:
    results = evaluate(FakeModel(), ranking_shop(), EvaluationOptions(splits=["in_domain"]))
    results.save(tmp_path / "r.json")
    with pytest.raises(OutputError, match="already exists"):
        results.save(tmp_path / "r.json")
    results.save(tmp_path / "r.json", overwrite=True)
    (tmp_path / "s.queries.parquet").write_text("precious")
    with pytest.raises(OutputError, match=r"s\.queries\.parquet"):
        results.save(tmp_path / "s.json")


def test_nothing_is_written_by_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = evaluate(FakeModel(), ranking_shop(), EvaluationOptions(splits=["in_domain"]))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(OutputError, match="disk is full"):
        results.save(tmp_path / "r.json")
    assert list(tmp_path.iterdir()) == []


def edited(value: Any, place: list[str], new: object) -> Any:
    """Set `value` at `place`, or remove it when `new` is None."""
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    if new is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = new
    return value


@pytest.mark.parametrize(
    ("place", "new", "where"),
    [
        (["splits"], None, "splits"),
        (["splits"], {}, "splits"),
        (["splits", "in_domain", "nDCG@10", "value"], "high", "splits.in_domain.nDCG@10.value"),
        (["splits", "in_domain", "nDCG@10", "queries"], None, "splits.in_domain.nDCG@10.queries"),
        (["dataset", "fingerprint"], None, "dataset.fingerprint"),
        (["model"], 3, "model"),
    ],
)
def test_malformed_results_say_where(
    tmp_path: Path, place: list[str], new: object, where: str
) -> None:
    path = tmp_path / "r.json"
    evaluate(FakeModel(), ranking_shop(), EvaluationOptions(splits=["in_domain"])).save(path)
    path.write_text(json.dumps(edited(json.loads(path.read_text()), place, new)))
    with pytest.raises(InputError) as caught:
        Results.load(path)
    assert caught.value.where == f"{path}, {where}"


def test_missing_or_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with pytest.raises(InputError, match="no such file"):
        Results.load(path)
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match="top level"):
        Results.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        Results.load(path)
    evaluate(FakeModel(), ranking_shop(), EvaluationOptions(splits=["in_domain"])).save(
        path, overwrite=True
    )
    (tmp_path / "r.queries.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        Results.load(path)
    (tmp_path / "r.queries.parquet").unlink()
    with pytest.raises(InputError, match="copy all three files"):
        Results.load(path)


def changed(frame: pl.DataFrame, row: int, column: str, value: object) -> pl.DataFrame:
    values = frame[column].to_list()
    values[row] = value
    return frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("queries", "query_id", "q1", "a query that occurs twice"),
        ("queries", "split", "train", "a split other than in_domain"),
        ("queries", "ERR@10", float("nan"), "a ERR@10 of NaN or infinity"),
        ("rankings", "query_id", "q99", "a query_id that the queries lack"),
        ("rankings", "similarity", float("nan"), "a similarity that is no finite number"),
        ("rankings", "rank", 0, "a rank below 1"),
        ("rankings", "rank", 1, "a rank that one query has twice"),
        ("rankings", "doc_id", None, "a doc_id that one query has twice"),
    ],
)
def test_tables_that_cannot_be_are_refused_with_their_row(
    tmp_path: Path, table: str, column: str, value: object, message: str
) -> None:
    path = tmp_path / "r.json"
    evaluate(FakeModel(), ranking_shop(), EvaluationOptions(splits=["in_domain"])).save(path)
    file = tmp_path / f"r.{table}.parquet"
    frame = pl.read_parquet(file)
    if column == "doc_id":
        value = frame["doc_id"][2]
    changed(frame, 3, column, value).write_parquet(file)
    with pytest.raises(InputError, match=message) as caught:
        Results.load(path)
    # Of two that are the same, the first is named.
    assert caught.value.where.startswith(f"{file}, row ")
    assert "query_id 'q" in caught.value.where


def test_a_metric_without_its_column(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    evaluate(FakeModel(), ranking_shop(), EvaluationOptions(splits=["in_domain"])).save(path)
    file = tmp_path / "r.queries.parquet"
    frame = pl.read_parquet(file)
    frame.drop("ERR@10").write_parquet(file)
    with pytest.raises(InputError, match=r"the metric 'ERR@10' has no column"):
        Results.load(path)
    frame.with_columns(pl.col("ERR@10").cast(pl.String)).write_parquet(file)
    with pytest.raises(InputError, match="expected numbers, found String"):
        Results.load(path)


def test_files_of_earlier_versions_load(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    evaluate(FakeModel(), ranking_shop(), EvaluationOptions(splits=["in_domain"])).save(path)
    value = json.loads(path.read_text())
    for key in ("protocol", "made", "robustness"):
        del value[key]
    for mean in value["splits"]["in_domain"].values():
        del mean["low"], mean["high"]
    path.write_text(json.dumps(value))
    found = Results.load(path)
    assert (found.protocol, found.metadata, found.robustness) == ("rankfield", {}, {})
    mean = found.splits["in_domain"]["nDCG@10"]
    assert mean.value is not None
    assert (mean.low, mean.high) == (None, None)


def test_results_say_how_they_were_made() -> None:
    found = evaluate(
        ModelRanker(FakeModel(), {"model": "somewhere"}), ranking_shop(), EvaluationOptions(k=7)
    )
    judgments = found.metadata.pop("judgments")
    assert list(judgments) == list(found.splits)
    assert found.metadata == {
        "scale": {"minimum": 0, "maximum": 2, "relevant": 1},
        "intervals": {"level": 0.95, "seed": 0},
        "keep": 10,
        "k": 7,
        "model": "somewhere",
    }
    for split, means in found.splits.items():
        for name, mean in means.items():
            values = found.queries.filter(split=split)[name].drop_nulls().to_numpy()
            expected = mean_interval(values)
            assert mean.low == pytest.approx(expected.low)
            assert mean.high == pytest.approx(expected.high)
            assert mean.value == expected.value
