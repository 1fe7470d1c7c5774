"""From the grades that a service kept to judgments: rules, agreement, the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from rankfield.cli.main import main
from rankfield.errors import InputError
from rankfield.schema import RankingDataset
from rankfield.serving import latest_judgments
from rankfield.serving.agreement import rater_agreement
from rankfield.serving.judgments import kept_acts
from rankfield.serving.rules import Rule
from rankfield.synthetic import sample_shop
from rankfield.training import add_judgments
from rankfield.training.sources import JudgmentSource


def kept(folder: Path, *lines: dict[str, Any]) -> Path:
    """Write judgments as a service keeps them."""
    folder.mkdir(exist_ok=True)
    text = "".join(json.dumps({"query_id": "q", **one}) + "\n" for one in lines)
    (folder / "judgments.jsonl").write_text(text)
    return folder


def said(rater: str, doc: str, score: float | None, **more: Any) -> dict[str, Any]:
    return {"rater": rater, "doc_id": doc, "score": score, **more}


FOUR = [
    said("anna", "d", 0.0),
    said("ben", "d", 3.0),
    said("cleo", "d", 2.0),
    said("dan", "d", 3.0),
]


@pytest.mark.parametrize(
    ("rule", "settled_by", "score", "named"),
    [
        ("mean", None, 2.25, "mean"),
        ("median", None, 2.5, "median"),
        ("majority", None, 3.0, "majority"),
        ("latest", None, 1.0, "latest"),
        ("mean", "ben", 3.0, "settled by ben"),
        ("latest", "nobody", 1.0, "latest"),
    ],
)
def test_a_rule_combines_the_last_grade_of_each_rater(
    tmp_path: Path, rule: Any, settled_by: str | None, score: float, named: str
) -> None:
    # anna said 0 first and then 1, last of all; erin could not say, and fay took hers back
    lines = [*FOUR, said("erin", "d", None), said("fay", "d", 0.0)]
    lines += [said("fay", "d", None), said("anna", "d", 1.0), said("erin", "alone", None)]
    frame = latest_judgments(kept(tmp_path, *lines), rule=rule, settled_by=settled_by)
    assert frame.rows() == [("q", "d", score, 4, named, None)]


def test_a_majority_of_two_is_their_mean_and_no_mean_leaves_the_scale(tmp_path: Path) -> None:
    folder = kept(tmp_path, *FOUR, said("erin", "d", 2.0), *(said(w, "e", 0.1) for w in "abc"))
    frame = latest_judgments(folder, rule="majority")
    assert dict(frame.select("doc_id", "score").iter_rows()) == {"d": 2.5, "e": 0.1}
    assert latest_judgments(folder)["score"][1] == 0.1
    with pytest.raises(InputError, match="majority"):
        latest_judgments(folder, rule="loudest")  # type: ignore[arg-type]


def test_an_undo_brings_back_what_was_said_when_it_was_said(tmp_path: Path) -> None:
    lines = [
        said("anna", "d", 1.0, judgment_id="1"),
        said("ben", "d", 2.0, judgment_id="2"),
        said("anna", "d", 3.0, judgment_id="3"),
        said("anna", "d", 1.0, judgment_id="4", verdict="undo", undoes="3"),
    ]
    acts = kept_acts(kept(tmp_path, *lines))
    (grades,) = acts.grades().values()
    assert [(one.rater, one.score) for one in grades] == [("anna", 1.0), ("ben", 2.0)]
    assert Rule("latest").combined(grades) == (2.0, "latest")


def test_agreement_is_that_of_each_pair_of_raters_and_lists_the_widest_first(
    tmp_path: Path,
) -> None:
    given = {
        "anna": [0, 1, 2, 4, 4, 0, None, 2],
        "ben": [0, 2, 2, 0, 4, 1, 3, None],
        "cleo": [None, None, None, 1, None, None, 3, None],
    }
    lines = [
        said(who, f"d{i}", score, query="mug")
        for who, scores in given.items()
        for i, score in enumerate(scores)
    ]
    found = rater_agreement(kept_acts(kept(tmp_path, *lines)).grades())
    pairs = {(one.first, one.second): one for one in found.pairs}
    both = pairs["anna", "ben"]
    expected = cohen_kappa_score(given["anna"][:6], given["ben"][:6], weights="quadratic",
                                 labels=range(5))  # fmt: skip
    assert both.count == 6
    assert both.kappa == pytest.approx(expected, abs=1e-12)
    assert {names: one.count for names, one in pairs.items()} == {
        ("anna", "ben"): 6,
        ("anna", "cleo"): 1,
        ("ben", "cleo"): 2,
    }
    assert found.shared == 7
    assert [(one.doc_id, one.spread) for one in found.disagreements] == [
        ("d3", 4.0),
        ("d1", 1.0),
        ("d5", 1.0),
    ]
    assert found.disagreements[0].grades == (("anna", 4.0), ("cleo", 1.0), ("ben", 0.0))
    assert found.disagreements[0].query == "mug"
    assert found.alpha is not None
    assert 0 < found.alpha < 1


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_command_writes_what_training_and_evaluation_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sample_shop(tmp_path / "shop", documents=60, queries=5, images=False)
    queries = data.queries["query_id"].to_list()
    documents = data.documents["doc_id"].to_list()
    lines = [
        {**said(who, documents[i], score), "query_id": queries[i % 5], "query": "words"}
        for i in range(20)
        for who, score in (("anna", 100.0), ("ben", 1.0 if i % 2 else 100.0))
    ]
    folder = kept(tmp_path / "feedback", *lines, said("anna", "of another shop", 1.0))
    out = tmp_path / "grades.parquet"
    words = ["grades", folder, out, "--rule", "median", "--settled-by", "ben"]
    assert run(monkeypatch, *words, "--dataset", tmp_path / "shop") == 0
    printed = capsys.readouterr().out
    assert "left out: 1 pairs" in printed
    assert "kappa" in printed
    frame = pl.read_parquet(out)
    assert frame.height == 20
    assert set(frame["rule"]) == {"settled by ben"}
    assert frame["score"].to_list() == [1.0 if i % 2 else 100.0 for i in range(20)]

    source = JudgmentSource(path=str(out), trust=1.0, map="none")
    added = add_judgments(data.training_judgments(), [source], data)
    assert added.join(frame, on=["query_id", "doc_id"], how="semi").height == 20

    graded = tmp_path / "graded"
    assert run(monkeypatch, "import", "tables", tmp_path / "shop", graded, "--judgments", out) == 0
    judged = RankingDataset.load(graded).judgments
    assert judged.select("query_id", "doc_id", "score").equals(
        frame.select("query_id", "doc_id", "score")
    )


def test_queries_that_no_data_set_has_are_written_beside_their_grades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sample_shop(tmp_path / "shop", documents=20, queries=2, images=False)
    first = data.documents["doc_id"][0]
    lines = [
        said("anna", first, 3.0, query_id="teapot & cup", query="teapot & cup"),
        said("anna", first, 1.0, query_id="q7"),
        said("ben", data.documents["doc_id"][1], 2.0, query_id="q7", query="red mug"),
    ]
    folder = kept(tmp_path / "feedback", *lines, said("anna", first, 1.0, query_id="silent"))
    out, queries = tmp_path / "grades.parquet", tmp_path / "queries.csv"
    assert run(monkeypatch, "grades", folder, out, "--queries", queries) == 0
    expected = [("teapot & cup", "teapot & cup"), ("q7", "red mug"), ("silent", "silent")]
    assert pl.read_csv(queries).rows() == expected
    words = ["--queries", queries, "--judgments", out, "--score-max", 3]
    graded = tmp_path / "graded"
    assert run(monkeypatch, "import", "tables", tmp_path / "shop", graded, *words) == 0
    found = RankingDataset.load(graded)
    assert found.queries.select("query_id", "query").rows() == expected
    assert found.judgments.height == 4


def test_the_command_refuses_before_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = kept(tmp_path / "feedback", *FOUR)
    sample_shop(tmp_path / "shop", documents=20, queries=2, images=False)
    out = tmp_path / "grades.csv"
    for words, message in (
        ([tmp_path / "nowhere", out], "no such file"),
        ([folder, tmp_path / "grades.txt"], "ending in"),
        ([folder, out, "--rule", "loudest"], "loudest"),
        ([folder, out, "--queries", tmp_path / "q.txt"], "ending in"),
        ([folder, out, "--dataset", tmp_path / "shop"], "none of the queries"),
    ):
        assert run(monkeypatch, "grades", *words) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()
    assert run(monkeypatch, "grades", folder, out) == 0
    before = out.read_bytes()
    assert run(monkeypatch, "grades", folder, out, "--rule", "median") == 2
    assert out.read_bytes() == before
    assert run(monkeypatch, "grades", folder, out, "--rule", "median", "--overwrite") == 0
    assert pl.read_csv(out)["score"].to_list() == [2.5]
