"""`rankfield metrics` on files from anywhere."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from rankfield.cli.main import main
from rankfield.evaluation import Results, evaluate
from ranking_shop import FakeModel, ranking_shop

QRELS = "q1 0 a 2\nq1 0 b 0.5\nq2 0 c 0\nq3 0 d 1\n"
RUN = "q1 Q0 b 1 3.0 x\nq1 Q0 z 2 3.0 x\nq1 Q0 a 3 1 x\nq2 Q0 c 1 1 x\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("qrels.txt").write_text(QRELS, "utf-8")
    Path("one.run").write_text(RUN, "utf-8")
    Path("two.json").write_text('{"q1": {"a": 0.5}, "q9": {"a": 1}}', "utf-8")


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["rankfield", "metrics", *words])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_means_and_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["qrels.txt", "one.run", "two.json", "-m", "mrr@10", "-m", "R@10", "--ignore-unknown"]
    words += ["--relevant", "1", "--per-query", "values.parquet", "--out", "means.json"]
    assert run(monkeypatch, *words) == 0
    shown = capsys.readouterr().out
    assert "Scores from 0 to 2, relevant from 1; equal scores of a run: doc_id descending" in shown
    assert "R@10: 1 queries without anything to find are left out" in shown
    assert "two.json: 1 queries without judgments are left out" in shown
    first, second = (Results.load(f"means.{name}.json") for name in ("one", "two"))
    means = first.splits["all"]
    assert means["RR@10"].value == pytest.approx(1 / 9)
    assert (means["R@10"].value, means["R@10"].queries) == (0.5, 2)
    assert means["R@10"].low == pytest.approx(1 - 0.975**0.5, abs=0.01)  # Clopper and Pearson
    assert means["R@10"].high == pytest.approx(0.975**0.5, abs=0.01)
    counts = [first.metadata[name] for name in ("missing", "unknown", "tied")]
    assert (first.sizes["all"].queries, *counts) == (3, 1, 0, 1)
    assert second.splits["all"]["RR@10"].value == pytest.approx(1 / 3)
    assert first.metadata["scale"] == {"minimum": 0, "maximum": 2, "relevant": 1}
    assert set(first.metadata["sha256"]) == {"qrels.txt", "one.run"}
    assert first.rankings.rows()[:3] == [
        ("all", "q1", 1, "z", 3.0, None),
        ("all", "q1", 2, "b", 3.0, 0.5),
        ("all", "q1", 3, "a", 1.0, 2.0),
    ]
    values = pl.read_parquet("values.parquet")
    assert values.columns == ["run", "query_id", "RR@10", "R@10"]
    assert values.rows()[:3] == [
        ("one.run", "q1", 1 / 3, 1.0),
        ("one.run", "q2", 0.0, None),
        ("one.run", "q3", 0.0, 0.0),
    ]


def test_ties_scale_and_condensed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for number, words in enumerate(
        (["--ties", "ascending"], ["--ties", "descending"], ["--condensed"], ["--scale", "0:4"])
    ):
        out = f"{number}.json"
        assert run(monkeypatch, "qrels.txt", "one.run", "-m", "ERR@1", "--out", out, *words) == 0
        metrics = Results.load(out).splits["all"]
        found.append([(name, round(mean.value or 0.0, 6)) for name, mean in metrics.items()])
    stop = round((2**0.5 - 1) / 4 / 3, 6)
    assert found == [
        [("ERR@1", stop)],
        [("ERR@1", 0.0)],
        [("ERR(condensed=true)@1", stop)],
        [("ERR@1", 0.0)],
    ]


def test_judged_queries_that_a_run_lacks_may_be_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As trec_eval does without its -c."""
    assert run(monkeypatch, "qrels.txt", "one.run", "--ignore-missing", "-m", "RR@10") == 0
    shown = capsys.readouterr().out
    assert "qrels.txt, 2 queries" in shown
    assert "one.run: 1 judged queries are not in the run: they are left out." in shown
    assert "0.2500 [" in shown  # (1/2 + 0) / 2
    Path("other.json").write_text('{"q9": {"a": 1}}', "utf-8")
    words = ["qrels.txt", "other.json", "--ignore-missing", "--ignore-unknown"]
    assert run(monkeypatch, *words) == 2
    assert "other.json: holds no query of the judgments" in capsys.readouterr().err


def test_json_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "qrels.txt", "one.run", "--json", "--out", "means.json") == 0
    printed = json.loads(capsys.readouterr().out)
    (one,) = printed["runs"].values()
    assert one["metrics"]["P@10"]["queries"] == 3
    means = json.loads(Path("means.json").read_text("utf-8"))["splits"]["all"]
    assert one["metrics"] == means


def test_negative_grades_gain_nothing_unless_a_minimum_is_stated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("qrels.txt").write_text("q1 0 a 0\nq1 0 b 3\nq1 0 c -2\n", "utf-8")
    Path("one.run").write_text("q1 Q0 a 1 2 x\nq1 Q0 b 2 1 x\n", "utf-8")
    half = 3 / math.log2(3) / 3
    stated = (2 + 5 / math.log2(3)) / (5 + 2 / math.log2(3))
    for words, expected in (([], half), (["--scale", ":3"], half), (["--scale", "-2:3"], stated)):
        assert run(monkeypatch, "qrels.txt", "one.run", "-m", "nDCG@10", "--json", *words) == 0
        made = json.loads(capsys.readouterr().out)
        value = made["runs"]["one.run"]["metrics"]["nDCG@10"]["value"]
        assert value == pytest.approx(expected)
        assert made["runs"]["one.run"]["scale"]["minimum"] == -2
    assert run(monkeypatch, "qrels.txt", "one.run", "--scale", "0:3") == 2
    assert "--scale :MAX" in capsys.readouterr().err


def test_err_says_which_highest_grade_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "ERR takes 2, the largest judged score, for the highest grade"
    assert run(monkeypatch, "qrels.txt", "one.run", "-m", "ERR@10") == 0
    assert said in capsys.readouterr().out
    for words in (["-m", "ERR@10", "--scale", ":4"], ["-m", "ERR(max=4)@10"], ["-m", "RR"]):
        assert run(monkeypatch, "qrels.txt", "one.run", *words) == 0
        assert said not in capsys.readouterr().out


@pytest.mark.parametrize("older", [False, True])
def test_our_own_rankings_measure_as_the_evaluation_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], older: bool
) -> None:
    data = ranking_shop().save(Path("shop"))
    results = evaluate(FakeModel(noise=1.0), data)
    if older:
        rankings = results.rankings.rename({"judged_score": "score"})
        results = replace(results, rankings=rankings)
    results.save("r.json")
    # The qrels of the queries that were evaluated, as a data set keeps them.
    asked = results.queries.select("split", "query_id")
    judged = data.judgments.join(asked, on=["split", "query_id"], how="semi")
    judged.write_parquet("judged.parquet")
    whole = "shop/judgments.parquet"  # the queries of the other subset too
    scale = data.score_scale
    for split, means in results.splits.items():
        words = ["judged.parquet", "r.rankings.parquet", "--split", split, "--json"]
        words += ["--scale", f"{scale.minimum}:{scale.maximum}", "--relevant", str(scale.relevant)]
        for name in ("nDCG@10", "RR@10", "P@10"):
            assert run(monkeypatch, *words, "-m", name) == 0
            made = json.loads(capsys.readouterr().out)
            found = made["runs"]["r.rankings.parquet"]["metrics"][name]
            assert found["value"] == pytest.approx(means[name].value, abs=1e-12)
            assert found["queries"] == means[name].queries
            assert run(monkeypatch, whole, *words[1:], "--ignore-missing", "-m", name) == 0
            again = json.loads(capsys.readouterr().out)["runs"]["r.rankings.parquet"]
            assert again["metrics"][name] == found
            assert again["missing"] > 0
        assert made["runs"]["r.rankings.parquet"]["split"] == split
    assert run(monkeypatch, "judged.parquet", "r.rankings.parquet") == 2
    assert "--split in_domain" in capsys.readouterr().err
    assert run(monkeypatch, "qrels.txt", "one.run", "--split", "zero_shot") == 2
    assert "with a column 'split'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["qrels.txt", "two.json"], "two.json: the query 'q9' has no judgment"),
        (["qrels.txt", "nowhere"], "nowhere: there is no such file"),
        (["qrels.txt", "qrels.txt"], "qrels.txt, row 1: expected 6 columns"),
        (["qrels.txt", "one.run", "-m", "ndgc@10"], "Did you mean 'nDCG'"),
        (["qrels.txt", "one.run", "--scale", "4"], "expected MIN:MAX"),
        (["qrels.txt", "one.run", "--scale", "4:0"], "the smaller first, found '4:0'"),
        (["qrels.txt", "one.run", "--scale", "0:nan"], "finite numbers"),
        (["qrels.txt", "one.run", "--scale", "-inf:4"], "finite numbers"),
        (["qrels.txt", "one.run", "--scale", ":"], "finite numbers"),
        (["qrels.txt", "one.run", "--scale", "0:1"], "the score 2 of 'a' for 'q1' is outside"),
        (["qrels.txt", "one.run", "--ties", "none"], "descending, ascending, file"),
        (["qrels.txt", "one.run", "--out", "one.run"], "one.run: already exists"),
        (["qrels.txt", "one.run", "--compare"], "compares two runs or more"),
        (["qrels.txt", "one.run", "--table", "x.pdf"], "ends with .tex or .md"),
        (["qrels.txt", "a=one.run", "a=two.json"], "two runs are called 'a'"),
        (["qrels.txt", "one.run", "one.run"], "given twice"),
        (["qrels.txt", "one.run", "--per-query", "x.txt"], ".parquet or .csv"),
    ],
)
def test_bad_input_exits_with_two(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    before = sorted(Path().iterdir())
    assert run(monkeypatch, *words) == 2
    assert message in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before
