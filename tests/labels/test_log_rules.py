"""Rules count only where the log can carry them: times too coarse, lists shown again, far dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankfield.errors import DataError
from rankfield.labels import EventFilters, LabelOptions, Scoring, make_labels
from rankfield.labels.times import Precision, usual_days

SCHEMA = ("session_id", "query_id", "doc_id", "position", "event", "time")
START = datetime(2026, 5, 1, 10, 0, 0, tzinfo=UTC)


def write(rows: list[tuple[Any, ...]], path: Path, columns: tuple[str, ...] = SCHEMA) -> Path:
    pl.DataFrame(rows, schema=list(columns), orient="row", infer_schema_length=None).write_csv(path)
    return path


def counts(out: Path) -> list[tuple[Any, ...]]:
    frame = pl.read_parquet(out / "judgments.parquet").sort("query_id", "doc_id")
    return frame.select("doc_id", "impressions", "clicks", "orders", "examinations").rows()


def busy_sessions(step: timedelta, *, fast: bool = False) -> list[tuple[Any, ...]]:
    """Forty sessions of six clicks on six documents, all in one step of time but spread inside."""
    rows: list[tuple[Any, ...]] = []
    for s in range(40):
        begun = START + s * step
        for k in range(6):
            rows.append((f"s{s}", "q", f"d{(s + k) % 6}", k + 1, "impression", begun))
            at = begun + timedelta(seconds=0.1 * k if fast else 0)
            rows.append((f"s{s}", "q", f"d{(s + k) % 6}", k + 1, "click", at))
    return rows


@pytest.mark.parametrize(
    ("step", "form", "said"),
    [
        (timedelta(days=1), "%Y-%m-%d", "a day"),
        (timedelta(hours=1), "%Y-%m-%dT%H:00:00Z", "an hour"),
        (timedelta(minutes=5), "%Y-%m-%dT%H:%M:00+02:00", "5 minutes"),
        (timedelta(minutes=1), "%Y-%m-%d %H:%M", "a minute"),
        (timedelta(minutes=1), "epoch", "a minute"),
    ],
)
def test_times_too_coarse_tell_no_clicks_too_fast(
    step: timedelta, form: str, said: str, tmp_path: Path
) -> None:
    rows = [
        (*row, str(int(at.timestamp())) if form == "epoch" else at.strftime(form))
        for *row, at in busy_sessions(step)
    ]
    labels = make_labels(write(rows, tmp_path / "e.csv"), tmp_path / "out")
    assert labels.record["dropped"]["sessions"] == {}
    assert sum(row[1] for row in counts(tmp_path / "out")) == 240
    rule = f"times are given to {said}; sessions are not looked at for clicks too fast"
    assert rule in labels.notes


def test_ten_seconds_are_fine_enough_for_slower_rates(tmp_path: Path) -> None:
    """Six clicks in ten seconds are no robot; thirty are."""
    rows = busy_sessions(timedelta(seconds=10))
    for k in range(30):
        rows += [("bot", "q", f"d{k}", k + 1, event, START) for event in ("impression", "click")]
    labels = make_labels(write(rows, tmp_path / "e.csv"), tmp_path / "out")
    found = labels.record["dropped"]["sessions"]
    assert {name: n["sessions"] for name, n in found.items()} == {"clicks too fast": 1}
    assert not any("too fast" in note for note in labels.notes)


def test_fine_times_still_tell_robots(tmp_path: Path) -> None:
    log = write(busy_sessions(timedelta(seconds=61.7), fast=True), tmp_path / "e.csv")
    with pytest.raises(DataError, match=r"left out for: clicks too fast .* See --max-click-rate"):
        make_labels(log, tmp_path / "out")


def test_a_part_without_seconds_is_not_taken_for_robots(tmp_path: Path) -> None:
    fine = [("f" + row[0], *row[1:]) for row in busy_sessions(timedelta(seconds=61.7), fast=True)]
    rows = busy_sessions(timedelta(minutes=1)) + fine
    labels = make_labels(write(rows, tmp_path / "e.csv"), tmp_path / "out")
    assert labels.record["dropped"]["sessions"]["clicks too fast"]["sessions"] >= 38
    assert sum(row[1] for row in counts(tmp_path / "out")) >= 240
    assert any("of the times are full minutes" in note for note in labels.notes)


def test_names_of_precisions() -> None:
    units = (86_400, 21_600, 3600, 900, 60, 10)
    names = [Precision(seconds=unit).name for unit in units]
    assert names == ["a day", "6 hours", "an hour", "15 minutes", "a minute", "10 seconds"]


def shown_twice() -> list[tuple[Any, ...]]:
    late = START + timedelta(minutes=3)
    return [
        ("s", "q", "a", 3, "impression", START),
        ("s", "q", "b", 1, "impression", START),
        ("s", "q", "b", 1, "click", START + timedelta(seconds=9)),
        ("s", "q", "a", 1, "impression", late),
        ("s", "q", "b", 3, "impression", late),
        ("s", "q", "a", 1, "click", late),
        ("s", "q", "a", None, "order", late + timedelta(days=9)),
        ("t", "q", "a", 3, "click", START - timedelta(seconds=1)),  # the clocks differ
        ("t", "q", "a", 3, "impression", START),
    ]


THETA: dict[int, float] = {1: 1, 2: 0.5, 3: 0.25}


@pytest.mark.parametrize("by", ["time", "list_id"])
def test_a_list_shown_again_counts_for_itself(by: str, tmp_path: Path) -> None:
    """First at 3 without a click, then at 1 with one: not once at 1, and not once at 3."""
    rows = shown_twice()
    columns = SCHEMA
    if by == "list_id":
        again = START + timedelta(minutes=3)
        rows = [(*row[:5], f"{row[0]}-{row[5] >= again}") for row in rows]
        columns = (*SCHEMA[:5], "list_id")
    options = LabelOptions(propensities=THETA, scoring=Scoring(prior=0))
    make_labels(write(rows, tmp_path / "e.csv", columns), tmp_path / "out", options)
    assert counts(tmp_path / "out") == [("a", 3, 2, 1, 1.5), ("b", 2, 1, 0, 1.25)]
    scores = pl.read_parquet(tmp_path / "out" / "judgments.parquet").sort("doc_id")
    assert scores["click_relevance"][1] == pytest.approx(1, abs=0.01)


def test_an_impression_written_twice_counts_once(tmp_path: Path) -> None:
    rows = shown_twice()
    options = LabelOptions(propensities=THETA, scoring=Scoring(prior=0))
    make_labels(write(rows + rows, tmp_path / "e.csv"), tmp_path / "out", options)
    assert counts(tmp_path / "out") == [("a", 3, 2, 1, 1.5), ("b", 2, 1, 0, 1.25)]


def test_without_times_a_document_counts_once(tmp_path: Path) -> None:
    rows = [row[:5] for row in shown_twice()]
    labels = make_labels(write(rows, tmp_path / "e.csv", SCHEMA[:5]), tmp_path / "out")
    assert [row[:3] for row in counts(tmp_path / "out")] == [("a", 2, 2), ("b", 1, 1)]
    assert "no time or list_id; a document counts once a session and query" in labels.notes


@pytest.mark.parametrize("stray", ["2099-06-01", "1995-01-01"])
@pytest.mark.parametrize("rows", [30, 300])
def test_one_far_date_does_not_age_the_log(stray: str, rows: int, tmp_path: Path) -> None:
    days = [f"2026-05-{1 + i % 28:02d}" for i in range(rows)]
    frame = pl.DataFrame({"query_id": "q", "doc_id": "a", "position": 1, "time": days,
                          "clicks": [i % 2 for i in range(rows)]})  # fmt: skip
    frame.write_csv(tmp_path / "plain.csv")
    far = pl.DataFrame({"query_id": "z", "doc_id": "z", "position": 1, "time": stray, "clicks": 1})
    pl.concat([frame, far.cast(frame.schema)]).write_csv(tmp_path / "stray.csv")
    options = LabelOptions(half_life=7, scoring=Scoring(prior=0))
    found = {}
    for name in ("plain", "stray"):
        labels = make_labels(tmp_path / f"{name}.csv", tmp_path / name, options)
        judged = pl.read_parquet(tmp_path / name / "judgments.parquet")
        found[name] = judged.filter(pl.col("query_id") == "q").rows()
    assert found["stray"] == found["plain"]
    assert any(f"1 rows, as of {stray}, lie far" in note for note in labels.notes)


def test_which_days_are_usual() -> None:
    assert usual_days({0: 1, 10: 1}) == (0, 10)
    assert usual_days({0: 500, 300: 500}) == (0, 300)
    assert usual_days({0: 5, 1: 5, 26_000: 1}) == (0, 1)
    assert usual_days({-9000: 2, 0: 500, 27: 500, 9000: 9}) == (0, 27)
    assert usual_days({0: 100, 25: 100, 50: 1}) == (0, 50)
    assert usual_days({5: 3}) == (5, 5)


def test_a_half_life_shorter_than_the_precision_is_said(tmp_path: Path) -> None:
    rows = [("q", "a", 5, 1, "2026-05-01"), ("q", "a", 5, 1, "2026-05-02"), ("q", "b", 5, 0, None)]
    log = write(rows, tmp_path / "e.csv", ("query_id", "doc_id", "impressions", "clicks", "time"))
    labels = make_labels(log, tmp_path / "out", LabelOptions(half_life=0.5))
    assert any("longer than the half-life" in note for note in labels.notes)
    assert "1 rows without a time count as the oldest" in labels.notes


@pytest.mark.parametrize("sessions", [False, True])
def test_robots_without_a_session_are_left_out(sessions: bool, tmp_path: Path) -> None:
    people = [("q", d, k, e, "Mozilla/5.0", "s1") for k, d in ((1, "a"), (2, "b"))
              for e in ("impression", "click")]  # fmt: skip
    robots = [("q", "b", 2, "impression", "ExampleBot/2.1", None)] * 7
    columns = ["query_id", "doc_id", "position", "event", "user_agent", "session_id"]
    frame = pl.DataFrame(people + robots, schema=columns, orient="row")
    frame = frame if sessions else frame.drop("session_id")
    frame.write_csv(tmp_path / "e.csv")
    record = make_labels(tmp_path / "e.csv", tmp_path / "out").record
    assert record["dropped"]["rows"] == {"robot by user agent": 7}
    assert [row[:3] for row in counts(tmp_path / "out")] == [("a", 1, 1), ("b", 1, 1)]
    kept = LabelOptions(filters=EventFilters(bot_agents=""))
    make_labels(tmp_path / "e.csv", tmp_path / "all", kept)
    assert [row[:3] for row in counts(tmp_path / "all")] == [("a", 1, 1), ("b", 8, 1)]


def test_empty_session_ids_are_no_session(tmp_path: Path) -> None:
    """Anonymous rows are not one giant session that is left out as a robot's."""
    rows = [
        {"session_id": "", "query_id": "q", "doc_id": "a", "position": 1, "event": event}
        for _ in range(1200)
        for event in ("impression", "click")
    ]
    pl.DataFrame(rows).write_ndjson(tmp_path / "e.jsonl")
    record = make_labels(tmp_path / "e.jsonl", tmp_path / "out").record
    assert record["dropped"]["sessions"] == {}
    assert [row[:3] for row in counts(tmp_path / "out")] == [("a", 1200, 1200)]


def test_blank_texts_are_no_queries(tmp_path: Path) -> None:
    texts = ["\u200b", " \u00a0 ", "hat", "\ufeff"]
    pl.DataFrame({"query": texts, "doc_id": "a", "clicks": 1}).write_csv(tmp_path / "e.csv")
    record = make_labels(tmp_path / "e.csv", tmp_path / "out").record
    assert record["dropped"]["rows"] == {"without an id": 3}
    assert pl.read_parquet(tmp_path / "out" / "queries.parquet")["query"].to_list() == ["hat"]


def test_the_longest_list_of_words_is_refused(tmp_path: Path) -> None:
    rows = [("q", "d", f"e{k}") for k in range(1500)]
    log = write(rows, tmp_path / "e.csv", ("query_id", "doc_id", "event"))
    with pytest.raises(DataError, match="a word that names the event, found over 1,000 different"):
        make_labels(log, tmp_path / "out")


def test_ids_of_single_searches_are_lists_not_queries(tmp_path: Path) -> None:
    rows = [
        {"searchId": f"s{i}", "searchTerm": text, "productId": doc, "event": event, "position": 1}
        for i, text in enumerate(["red mug", "Red mug", "blue sock"] * 4)
        for doc in ("a", "b")
        for event in (["impression", "click"] if doc == "a" else ["impression"])
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "log.csv")
    labels = make_labels(tmp_path / "log.csv", tmp_path / "out")
    assert labels.record["columns"]["list_id"] == "searchId"
    assert labels.record["queries"] == 2
    renamed = [{"query_id" if k == "searchId" else k: v for k, v in row.items()} for row in rows]
    pl.DataFrame(renamed).write_csv(tmp_path / "ids.csv")
    notes = make_labels(tmp_path / "ids.csv", tmp_path / "ids").notes
    advice = "choose --column list_id=query_id --column query=searchTerm"
    assert any("12 ids of 2 texts" in note and advice in note for note in notes)


def test_relevant_is_the_mean_score_of_what_was_examined(tmp_path: Path) -> None:
    rows = [
        {"query": "mug", "doc_id": doc, "impressions": shown, "clicks": clicks, "position": place}
        for doc, shown, clicks, place in (("a", 90, 60, 1), ("b", 90, 20, 2), ("c", 90, 1, 3))
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "log.csv")
    record = make_labels(tmp_path / "log.csv", tmp_path / "out").record
    scores = pl.read_parquet(tmp_path / "out" / "judgments.parquet")
    mean = np.average(scores["score"], weights=scores["examinations"])
    assert record["relevant"] == pytest.approx(mean, rel=0.05)
    assert 0 < scores.filter(pl.col("score") >= record["relevant"]).height < 3
    graded = LabelOptions(grades=(0.5, 0.8))
    assert make_labels(tmp_path / "log.csv", tmp_path / "g", graded).record["relevant"] is None
