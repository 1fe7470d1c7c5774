from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from rankfield.cli.main import main
from rankfield.evaluation import (
    EvaluationOptions,
    ModelRanker,
    Results,
    compare,
    evaluate,
    slice_results,
)
from rankfield.schema import RankingDataset
from ranking_shop import FakeModel, ranking_shop


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object, columns: int = 160) -> int:
    monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_a_file_given_twice_is_no_second_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.json"
    evaluate(FakeModel(), ranking_shop(), EvaluationOptions(label="clip")).save(path)
    for verb in ("compare", "report"):
        assert run(monkeypatch, verb, path, tmp_path / "." / "clip.json") == 2
        assert "clip.json: the same results are given twice" in capsys.readouterr().err


def test_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = ranking_shop()
    first = evaluate(FakeModel("clip", noise=2.0), dataset)
    first.save(tmp_path / "clip.json")
    paths = [tmp_path / "clip.json"]
    for seed in range(2):
        paths.append(tmp_path / f"gcl{seed}.json")
        evaluate(FakeModel(noise=0.5, seed=seed), dataset, EvaluationOptions(label="gcl")).save(
            paths[-1]
        )
    assert run(monkeypatch, "compare", *paths, "--metric", "nDCG@10") == 0
    shown = capsys.readouterr().out
    assert "gcl (2 runs)" in shown
    assert f"{first.splits['zero_shot']['nDCG@10'].value:.3f}" in shown
    assert "±" in shown
    assert " %)" in shown
    assert "ERR@10" not in shown
    assert run(monkeypatch, "compare", *paths) == 0
    assert "ERR@10" in capsys.readouterr().out


def test_bad_input_exits_with_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        evaluate(FakeModel(), ranking_shop(seed=seed)).save(tmp_path / f"{seed}.json")
    first, second = tmp_path / "0.json", tmp_path / "1.json"
    assert run(monkeypatch, "compare", first, tmp_path / "nowhere.json") == 2
    assert "there is no such file" in capsys.readouterr().err
    assert run(monkeypatch, "compare", first, second) == 2
    assert "expected the same data" in capsys.readouterr().err
    assert run(monkeypatch, "compare", first, "--metric", "ndcg") == 2
    assert "unknown metric 'ndcg'" in capsys.readouterr().err
    assert run(monkeypatch, "compare", first, second, "--force", "--metric", "RR@10") == 0


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Write a data set and the results of three models on it, the first by far the worst."""
    dataset = ranking_shop(documents=40).save(tmp_path / "data")
    paths = []
    for name, noise in (("chance", 50.0), ("good", 0.1), ("as good", 0.1)):
        paths.append(tmp_path / f"{name}.json")
        evaluate(FakeModel(name, noise=noise), dataset, EvaluationOptions(subset=None)).save(
            paths[-1]
        )
    return paths


def test_what_differs_is_marked_and_explained(
    files: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stars are for recipes, by several runs of one at least; a test of single runs has none."""
    dataset = RankingDataset.load(files[0].parent / "data")
    arguments = [f"chance={files[0]}"]
    for name, noise in (("chance", 50.0), ("good", 0.1)):
        for seed in range(1, 4):
            path = files[0].parent / f"{name}-{seed}.json"
            evaluate(
                FakeModel(name, noise=noise, seed=seed), dataset, EvaluationOptions(subset=None)
            ).save(path)
            arguments.append(f"{name}={path}")
    assert run(monkeypatch, "compare", *arguments, "--metric", "nDCG@10", "--details") == 0
    shown = capsys.readouterr().out
    loaded = [
        replace(Results.load(Path(path)), label=label)
        for label, path in (argument.split("=") for argument in arguments)
    ]
    comparison = compare(loaded, metrics=["nDCG@10"])
    assert [len(runs) for runs in comparison.runs.values()] == [4, 3]
    assert "chance (4 runs)" in shown
    marked = comparison.tests.filter(pl.col("p_adjusted") < 0.05).height
    assert 0 < marked <= 4
    assert shown.count(" %)*") == marked
    assert "*: the recipe differs from chance, p < 0.05 by a bootstrap of runs and" in shown
    assert "Holm's correction over the 4 comparisons shown" in shown
    first = comparison.tests.row(0, named=True)
    assert f"{first['difference']:+.3f} [{first['low']:+.3f}, {first['high']:+.3f}]" in shown
    assert f"{first['better']}, {first['worse']}, {first['equal']}" in shown
    assert "Each column is one run" not in shown
    assert run(monkeypatch, "compare", files[2], *arguments[4:], "--metric", "nDCG@10") == 0
    assert "Of as good there is one run: a test is against that model alone." in (
        capsys.readouterr().out
    )

    assert run(monkeypatch, "compare", *files, "--metric", "nDCG@10") == 0
    shown = capsys.readouterr().out
    assert "*" not in shown
    assert "Each column is one run. A test of single runs (--details) is about these" in shown
    assert run(monkeypatch, "compare", *files, "--metric", "nDCG@10", "--details") == 0
    assert "Holm's correction over the 8 comparisons shown, are about these" in (
        capsys.readouterr().out
    )
    assert run(monkeypatch, "compare", files[0], "--metric", "nDCG@10") == 0
    assert "differs" not in capsys.readouterr().out


def test_over_zero_the_difference_stands_in_place_of_a_gain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = evaluate(FakeModel("nothing"), ranking_shop(), EvaluationOptions(splits=["in_domain"]))
    zero = {metric: replace(mean, value=0.0) for metric, mean in first.splits["in_domain"].items()}
    zeros = first.queries.with_columns(pl.lit(0.0).alias("nDCG@10"))
    replace(first, splits={"in_domain": zero}, queries=zeros).save(tmp_path / "nothing.json")
    first.save(tmp_path / "some.json")
    paths = (tmp_path / "nothing.json", tmp_path / "some.json")
    assert run(monkeypatch, "compare", *paths, "--metric", "nDCG@10") == 0
    value = first.splits["in_domain"]["nDCG@10"].value
    shown = capsys.readouterr().out
    assert f"{value:.3f} (+{value:.3f})" in shown
    assert "Where nothing has 0, the difference stands: a relative gain is undefined." in shown


def test_one_model_is_not_two_runs_of_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, fingerprint in (("a", "1" * 16), ("b", "1" * 16), ("c", "2" * 16)):
        found = evaluate(ModelRanker(FakeModel(), {"fingerprint": fingerprint}), ranking_shop())
        found.save(tmp_path / f"{name}.json")
    one, same, other = (f"mine={tmp_path / name}.json" for name in "abc")
    for verb in ("compare", "report"):
        assert run(monkeypatch, verb, one, same) == 2
        assert "b.json: the same model as in" in capsys.readouterr().err
    assert run(monkeypatch, "compare", one, other, "--metric", "nDCG@10") == 0
    assert "mine (2 runs)" in capsys.readouterr().out


def test_80_columns_hold_five_runs(
    files: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    again = [file.with_name(f"again-{file.name}") for file in files[1:]]
    for source, target in zip(files[1:], again, strict=True):
        Results.load(source).save(target)
    assert run(monkeypatch, "compare", *files, *again, "--metric", "nDCG@10", columns=80) == 0
    shown = capsys.readouterr().out
    comparison = compare([Results.load(f) for f in (*files, *again)], metrics=["nDCG@10"])
    gains = comparison.table["gain_percent"].drop_nulls().to_list()
    assert max(gains) > 100
    for gain in gains:
        assert f"({gain:+.{0 if gain >= 100 else 1}f} %)" in shown


def test_slices_side_by_side(
    files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "c.json"
    slicing = ("--slice", "judgments", "--slice", "query.seen", "--out", out)
    assert run(monkeypatch, "compare", *files[:2], *slicing) == 0
    shown = capsys.readouterr().out
    assert "nDCG@10 by judgments" in shown
    assert "ERR@10 by" not in shown
    stored = json.loads(out.read_text())["slices"]
    assert list(stored) == ["nDCG@10 by judgments", "nDCG@10 by query.seen"]
    dataset = RankingDataset.load(tmp_path / "data")
    expected = slice_results(Results.load(files[1]), dataset, "query.seen").to_dicts()
    rows = [row for row in stored["nDCG@10 by query.seen"] if row.pop("name") == "good"]
    assert rows == expected
    assert f"{expected[0]['value']:.3f}" in shown
    assert f"[{expected[0]['low']:.3f}, {expected[0]['high']:.3f}]" in shown

    # The data set has moved.
    (tmp_path / "data").rename(tmp_path / "moved")
    assert run(monkeypatch, "compare", *files[:2], "--slice", "length") == 2
    assert "there is no such folder" in capsys.readouterr().err
    moved = ("--data", tmp_path / "moved", "--metric", "err@10")
    assert run(monkeypatch, "compare", *files[:2], "--slice", "length", *moved) == 0
    assert "ERR@10 by length" in capsys.readouterr().out


def test_options_that_cannot_be_followed(
    files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ranking_shop(seed=1).save(tmp_path / "other")
    out = tmp_path / "c.csv"
    for arguments, message in (
        (("--slice", "colour"), "expected query.COLUMN"),
        (("--slice", "length", "--data", tmp_path / "other"), "expected the data that was evaluat"),
        (("--slice", "length", "--out", out), "cannot hold slices"),
        (("--out", tmp_path / "c.txt"), "ends with .json, .csv, .parquet"),
        (("--metric", "nDCG@11"), "Did you mean 'nDCG@10'?"),
    ):
        assert run(monkeypatch, "compare", *files, *arguments) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.out == ""
    assert not out.exists()
    assert run(monkeypatch, "compare", *files, "--out", out) == 0
    assert run(monkeypatch, "compare", *files, "--out", out) == 2
    assert "already exists" in capsys.readouterr().err
    assert run(monkeypatch, "compare", *files, "--out", out, "--overwrite") == 0
