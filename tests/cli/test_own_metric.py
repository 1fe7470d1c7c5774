"""A metric of the user's own, by name: computed beside the others, imported only when allowed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import run
from rankfield import ScoreScale
from rankfield.errors import MetricError
from rankfield.evaluation import Results, compare, evaluate
from rankfield.metrics import (
    JudgedRankings,
    Metric,
    OwnMetric,
    canonical_name,
    load_metric,
    standard_metrics,
)
from ranking_shop import FakeModel, ranking_shop

MODULE = """
import numpy as np
from pathlib import Path

Path("imported").touch()


def judged_first(rankings, k, scale):
    return rankings.sums_at(rankings.judged_ranks <= 1, k)


def wide(rankings, k, scale):
    return np.zeros((1, len(rankings)))


def endless(rankings, k, scale):
    return np.full(len(rankings), np.inf)


def broken(rankings, k, scale):
    return 1 / 0


number = 3
"""
SCALE = ScoreScale(0, 2, 1)


def rankings() -> JudgedRankings:
    return JudgedRankings(
        np.array([[2.0, np.nan], [np.nan, 1.0]]),
        np.array([2, 2]),
        np.array([0, 1, 2]),
        np.array([2.0, 1.0]),
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_ranking_metrics", raising=False)
    Path("own_ranking_metrics.py").write_text(MODULE, "utf-8")


def test_values_beside_others() -> None:
    own = load_metric("own_ranking_metrics:judged_first@10")
    assert isinstance(own, OwnMetric)
    assert str(own) == "own_ranking_metrics:judged_first@10"
    found = standard_metrics(rankings(), SCALE, ["P@1", own])
    assert found[str(own)].tolist() == [1, 0]
    assert list(found) == ["P@1", str(own)]
    assert isinstance(load_metric("mrr@10"), Metric)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:f", "cannot be imported .*Python path"),
        ("own_ranking_metrics:nothing@10", "cannot be imported"),
        (":f", "cannot be imported"),
        ("own_ranking_metrics:number", "is not a function"),
        ("own_ranking_metrics:wide@0", "at least 1 after @"),
        ("own_ranking_metrics:wide@5", r"each of 2 queries, found an array of shape \(1, 2\)"),
        ("own_ranking_metrics:endless", "a finite number or NaN"),
        ("own_ranking_metrics:broken", "fails: ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_wrong_is_said(name: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        standard_metrics(rankings(), SCALE, [load_metric(name)])


def test_names_of_files_are_never_imported() -> None:
    """Results hold names of metrics, which compare reads: none of them is loaded."""
    name = "own_ranking_metrics:judged_first@10"
    assert canonical_name(name) == name
    with pytest.raises(MetricError, match="expected a name such as"):
        Metric.parse(name)
    results = evaluate(FakeModel(noise=1.0), ranking_shop())
    results.save("r.json")
    value = json.loads(Path("r.json").read_text("utf-8"))
    for split in value["splits"].values():
        split[name] = split.pop("nDCG@10")
    Path("r.json").write_text(json.dumps(value), "utf-8")
    results.queries.rename({"nDCG@10": name}).write_parquet("r.queries.parquet")
    assert name in compare([Results.load("r.json")]).metrics
    assert not Path("imported").exists()


def test_commands_import_it_where_it_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("qrels.txt").write_text("q 0 a 1\nr 0 b 1\n", "utf-8")
    Path("my.run").write_text("q Q0 a 1 2.0 x\nr Q0 c 1 2.0 x\n", "utf-8")
    ranking_shop(split=False).save("shop")
    own = ["-m", "own_ranking_metrics:judged_first@10", "-m", "nDCG@10"]
    commands = (
        ["metrics", "qrels.txt", "my.run", "--out", "m.json"],
        ["evaluate", "shop", "--baseline", "random", "--out", "e.json"],
    )
    for words in commands:
        assert run(*words, *own) == 2
        assert "add --allow-code" in capsys.readouterr().err
    assert not Path("imported").exists()
    for words in commands:
        assert run(*words, *own, "--allow-code") == 0
        assert "judged_first" in capsys.readouterr().out
    assert Path("imported").exists()
    for file in ("m.json", "e.json"):
        (means,) = Results.load(file).splits.values()
        assert own[1] in means
        assert means[own[1]].low is not None
    assert run("evaluate", "shop", "--baseline", "bm25", "-m", "own:f", "--protocol", "beir") == 2
    assert "is for rankfield's own rules" in capsys.readouterr().err
