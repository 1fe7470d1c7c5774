"""`rankfield labels`: what it says, what it writes, and how it refuses."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from logs_of_standards import ubi_events, ubi_queries, write_lines
from rankfield.cli.main import main
from rankfield.synthetic.click_simulation import ClickSimulation

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, words)])
        capsys.readouterr()
        try:
            main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_labels_then_import(tmp_path: Path, run: Run) -> None:
    shop = ClickSimulation(queries=12, documents=12, shown=6)
    events = shop.events(2000).rename({"doc_id": "sku"})
    (tmp_path / "shop").mkdir()
    events.write_csv(tmp_path / "events.csv")
    words = ("--weight", "click=2", "--grades", "0.5,0.9", "--half-life", 30, "--prior", 4)
    code, out, err = run("labels", tmp_path / "events.csv", tmp_path / "labels", *words)
    assert code == 0, err
    assert "column 'sku' is the doc_id" in out
    assert "sessions" in out
    assert "propensities (" in out
    names = {p.name for p in (tmp_path / "labels").iterdir()}
    assert names == {"judgments.parquet", "labels.json", "calibration.svg"}
    svg = (tmp_path / "labels" / "calibration.svg").read_text()
    assert all(text in svg for text in ("propensity", "predicted", "observed", "uncorrected"))
    record = json.loads((tmp_path / "labels" / "labels.json").read_text())
    assert record["prior"]["strength"] == 4
    assert record["event_weights"] == {"click": 2, "cart": 3, "order": 5}
    made = pl.read_parquet(tmp_path / "labels" / "judgments.parquet")
    assert set(made["score"]) == {0, 1, 2}

    for table, identity in (("queries", "query_id"), ("documents", "doc_id")):
        texts = pl.format("a thing called {}", identity)
        frame = made.select(identity, text=texts).unique()
        frame.write_csv(tmp_path / "shop" / f"{table}.csv")
    judgments = tmp_path / "labels" / "judgments.parquet"
    code, out, err = run(
        "import", "tables", tmp_path / "shop", tmp_path / "data", "--judgments", judgments
    )
    assert code == 0, err
    assert f"{made.height:,} judgments" in out


def test_a_log_that_cannot_be_corrected_warns(tmp_path: Path, run: Run) -> None:
    rows = [("q", f"d{k}", k, 100, 60 // k) for k in (1, 2, 3)]
    columns = ["query_id", "doc_id", "position", "impressions", "clicks"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(tmp_path / "e.csv")
    code, _, err = run("labels", tmp_path / "e.csv", tmp_path / "out")
    assert code == 0
    assert "warning: propensities cannot be identified" in err
    given = tmp_path / "theta.csv"
    given.write_text("position,propensity\n1,1\n2,0.5\n3,0.3333333\n")
    code, _, err = run(
        "labels", tmp_path / "e.csv", tmp_path / "known", "--propensities", given, "--prior", 0
    )
    assert (code, err) == (0, "")
    scores = pl.read_parquet(tmp_path / "known" / "judgments.parquet")["score"].to_list()
    assert scores == pytest.approx([0.6, 0.6, 0.6], abs=1e-4)


def test_the_next_command_works_for_texts_too(tmp_path: Path, run: Run) -> None:
    """UBI events are recognised; ids made of texts come with the queries that have them."""
    folder = tmp_path / "my log"
    folder.mkdir()
    write_lines(folder / "ubi_events.ndjson", ubi_events())
    write_lines(folder / "ubi_queries.ndjson", ubi_queries())
    made = tmp_path / "my labels"
    code, out, err = run("labels", folder, made, "--application", "shop")
    assert code == 0, err
    assert "- the log is of User Behavior Insights (UBI): list_id=query_id, query=user_query" in out
    assert "2 applications" not in out
    (tmp_path / "shop").mkdir()
    documents = pl.DataFrame({"doc_id": ["a", "b"], "title": ["one shoe", "another"]})
    documents.write_csv(tmp_path / "shop" / "documents.csv")
    words = shlex.split(out.splitlines()[-1].removeprefix("next: rankfield "))
    places = {"SRC": tmp_path / "shop", "OUT": tmp_path / "data"}
    code, out, err = run(*(places.get(word, word) for word in words))
    assert code == 0, err
    queries = pl.read_parquet(tmp_path / "data" / "queries.parquet")
    assert sorted(queries["query"]) == ["hat", "red shoe"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--application", "shop"], "expected a column of applications, found none"),
        (["--column", "doc_id"], "expected NAME=VALUE, found 'doc_id'"),
        (["--weight", "click=much"], "expected a number, found 'much'"),
        (["--event", "view=seen"], "expected view=EVENT"),
        (["--propensities", "absent.csv"], "absent.csv: cannot be read"),
        (["--memory", "0.1"], "expected 0.5 to"),
        (["--memory", "inf"], "expected 0.5 to"),
        (["--half-life", "1e-320"], "a millionth at least"),
        (["--max-click-rate", "inf"], "expected a number above 0"),
        (["--bot-agents", "("], "not a regular expression"),
        (["--grades", "0.9,0.5"], "expected ascending numbers"),
        (["--column", "doc_id=nothing"], "expected a column 'nothing'"),
    ],
)
def test_wrong_options(words: list[str], message: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "e.csv").write_text("query_id,doc_id,impressions,clicks\nq,d,5,1\n")
    code, out, err = run("labels", tmp_path / "e.csv", tmp_path / "out", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert [p.name for p in tmp_path.iterdir()] == ["e.csv"]
