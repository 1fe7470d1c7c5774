"""From a log to judgments: every layout, what is left out, known truths, and sudden ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import kendalltau

from killing import kill_at_random, killable_commands
from rankfield.errors import DataError, InputError, OutputError
from rankfield.labels import EventFilters, LabelOptions, Scoring, make_labels
from rankfield.labels.cells import read_cells
from rankfield.synthetic.click_simulation import ClickSimulation

CLICKS = Scoring(event_weights={"cart": 0, "order": 0})


@pytest.fixture(scope="module")
def simulation() -> ClickSimulation:
    return ClickSimulation(queries=20, documents=15, shown=8, bias=1.5, ranker_error=0.6, seed=3)


@pytest.fixture(scope="module")
def log(simulation: ClickSimulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "events.parquet"
    simulation.events(20_000).write_parquet(path)
    return path


def judgments(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "judgments.parquet")


def mean_tau(truth: pl.DataFrame, scores: pl.DataFrame) -> float:
    both = truth.join(scores, on=["query_id", "doc_id"])
    groups = both.partition_by("query_id")
    return float(np.mean([kendalltau(g["relevance"], g["score"]).statistic for g in groups]))


@pytest.mark.parametrize("method", ["em", "interventions"])
def test_the_true_order_comes_back_better_than_from_raw_rates(
    simulation: ClickSimulation, log: Path, tmp_path: Path, method: str
) -> None:
    labels = make_labels(log, tmp_path / "out", LabelOptions(propensities=method, scoring=CLICKS))
    np.testing.assert_allclose(labels.propensities.values, simulation.propensities, rtol=0.2)
    scores = judgments(tmp_path / "out")
    raw = scores.with_columns(score=pl.col("clicks") / pl.col("impressions"))
    truth = simulation.relevance()
    assert mean_tau(truth, scores) > mean_tau(truth, raw) + 0.05
    assert labels.corrected is not None
    assert labels.raw is not None
    assert labels.corrected.error < labels.raw.error / 5
    assert scores["score"].is_between(0, 1).all()
    assert scores.select("query_id", "doc_id").rows() == sorted(
        scores.select("query_id", "doc_id").rows()
    )


def test_robots_are_left_out_and_counted(
    simulation: ClickSimulation, log: Path, tmp_path: Path
) -> None:
    events = pl.read_parquet(log)
    record = make_labels(log, tmp_path / "out").record
    agents = events.group_by("session_id").agg(pl.col("user_agent").first(), rows=pl.len())
    robots = agents.filter(pl.col("user_agent").str.contains("Bot"))
    found = record["dropped"]["sessions"]["robot by user agent"]
    assert found == {"sessions": robots.height, "rows": robots["rows"].sum()}
    assert record["dropped"]["sessions"]["clicks too fast"]["sessions"] > 50
    kept = LabelOptions(filters=EventFilters(bot_agents="", max_click_rate=1e9))
    assert make_labels(log, tmp_path / "all", kept).record["dropped"]["sessions"] == {}
    everything = judgments(tmp_path / "all")
    assert everything["impressions"].sum() == (events["event"] == "impression").sum()
    assert everything["clicks"].sum() == (events["event"] == "click").sum()


def test_every_layout_gives_the_same_bytes(log: Path, tmp_path: Path) -> None:
    events = pl.read_parquet(log).head(3000)
    clicks = pl.read_parquet(log).filter(pl.col("event") == "click")
    events = pl.concat(
        [events, clicks.filter(pl.col("session_id").is_in(events["session_id"].to_list()))]
    )
    events.write_csv(tmp_path / "a.csv", include_bom=True)
    events.write_csv(tmp_path / "b.tsv", separator="\t")
    events.write_ndjson(tmp_path / "c.jsonl")
    events.write_parquet(tmp_path / "d.parquet")
    (tmp_path / "parts").mkdir()
    for i in range(3):
        events[i::3].write_parquet(tmp_path / "parts" / f"{i}.parquet")
    iso = pl.from_epoch("time", time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    events.with_columns(iso).rename({"position": "rank", "event": "action"}).write_csv(
        tmp_path / "e.csv"
    )
    found = []
    for source in ("a.csv", "b.tsv", "c.jsonl", "d.parquet", "parts", "e.csv"):
        out = tmp_path / f"out-{source}"
        make_labels(tmp_path / source, out, LabelOptions(half_life=7))
        found.append((out / "judgments.parquet").read_bytes())
    assert all(f == found[0] for f in found)


def test_counts_by_hand(tmp_path: Path) -> None:
    """A click without a position is placed by its session; twice counts once; strays are lost."""
    rows = [
        ("s1", "q", "a", 1, "view"), ("s1", "q", "b", 2, "view"), ("s1", "q", "b", None, "click"),
        ("s1", "q", "b", None, "click"), ("s2", "q", "a", 1, "view"),
        ("s2", "q", "z", None, "click"),
        ("s2", "q", "a", None, "buy"), ("s3", "q", "a", 3, "view"), ("s3", "", "a", 3, "view"),
        ("s3", "q", "b", None, "scroll"), ("s3", "q", "b", 900, "view"),
    ]  # fmt: skip
    columns = ["session_id", "query_id", "doc_id", "position", "event"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(tmp_path / "e.csv")
    words = {"view": "impression", "scroll": "ignore"}
    options = LabelOptions(
        events=words, propensities={1: 1, 2: 0.5, 3: 0.25}, scoring=Scoring(prior=0)
    )
    labels = make_labels(tmp_path / "e.csv", tmp_path / "out", options)
    assert judgments(tmp_path / "out").select(
        "doc_id", "impressions", "clicks", "orders", "examinations"
    ).rows() == [("a", 3, 0, 1, 2.25), ("b", 1, 1, 0, 0.5)]
    dropped = labels.record["dropped"]
    assert (dropped["lost_clicks"], dropped["rows"]) == (1, {"without an id": 1})
    assert dropped["pairs shown too little"] == 1


def test_counts_with_texts_and_grades(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "query": ["Red  Shoe", "red shoe ", "hat", "hat", "hat"],
            "doc_id": ["a", "a", "a", "b", "c"],
            "impressions": [10, 10, 100, 100, 100],
            "clicks": [2, 3, 10, 60, 20],
        }
    ).write_csv(tmp_path / "e.csv")
    labels = make_labels(tmp_path / "e.csv", tmp_path / "out", LabelOptions(grades=(0.4, 0.8)))
    queries = pl.read_parquet(tmp_path / "out" / "queries.parquet")
    assert sorted(queries["query"]) == ["hat", "red shoe"]
    scores = judgments(tmp_path / "out").join(queries, on="query_id")
    shoe = scores.filter(pl.col("query") == "red shoe")
    assert shoe.select("impressions", "clicks").rows() == [(20, 5)]
    hats = scores.filter(pl.col("query") == "hat").sort("doc_id")
    assert hats["score"].to_list() == [0, 2, 0]
    assert hats["relevance"].is_between(0.05, 0.65).all()
    assert "one position only" in labels.record["warnings"][0]


def test_old_events_fade_by_their_half_life(tmp_path: Path) -> None:
    day = 86_400
    pl.DataFrame(
        {
            "query_id": ["q"] * 2, "doc_id": ["a"] * 2, "position": [1, 1],
            "time": [1_767_225_600, 1_767_225_600 + 10 * day],
            "impressions": [100, 100], "clicks": [100, 0],
        }
    ).write_parquet(tmp_path / "e.parquet")  # fmt: skip
    options = LabelOptions(half_life=10, scoring=Scoring(prior=0))
    make_labels(tmp_path / "e.parquet", tmp_path / "out", options)
    (row,) = judgments(tmp_path / "out").rows(named=True)
    assert row["score"] == pytest.approx(50 / 150, abs=1e-5)
    assert (row["impressions"], row["clicks"]) == (200, 100)


def test_pieces_are_whole_queries(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"query_id": ["a"] * 5 + ["b"] + ["c"] * 4, "doc_id": list("xxyyzxxxyz"), "position": 1}
    )
    frame.write_parquet(tmp_path / "s.parquet")
    for rows in (1, 2, 3, 7, 100):
        pieces = list(read_cells(tmp_path / "s.parquet", rows=rows))
        assert pl.concat([p.frame for p in pieces]).equals(frame)
        names = [set(p.frame["query_id"]) for p in pieces]
        assert sum(len(n) for n in names) == len(set().union(*names))
        assert sum(len(p.starts) for p in pieces) == 7


BAD: dict[str, tuple[str, bytes, list[str]]] = {
    "delimiter": ("e.csv", b"query_id;doc_id;event\nq;d;click\n", ["row 1", "semicolons"]),
    "encoding": (
        "e.csv", b"query_id,doc_id,event\nq,d,click\nq,\xff\xfe,click\n", ["row 3", "not UTF-8"]
    ),
    "header encoding": ("e.csv", b"\xff\xfeq\0u\0", ["row 1", "not UTF-8"]),
    "missing": ("e.csv", b"query_id,dok_id,event\nq,d,click\n", ["Did you mean 'dok_id'"]),
    "twice": ("e.csv", b"query_id,doc_id,doc_id,event\n", ["row 1", "more than once", "Rename"]),
    "absurd": (
        "e.csv", b"query_id,doc_id,event,position\nq,d,click,1\nq,d,click,1e99\n",
        ["row 3", "'position'", "1e99", "Fix"],
    ),
    "nan": (
        "e.jsonl",
        b'{"query_id":"q","doc_id":"d","clicks":1,"impressions":5}\n'
        b'{"query_id":"q","doc_id":"d","clicks":"nan","impressions":5}\n',
        ["row 2", "'clicks'", "nan"],
    ),
    "negative": ("e.csv", b"query_id,doc_id,impressions,clicks\nq,d,5,-1\n", ["row 2", "'-1'"]),
    "time": (
        "e.csv", b"query_id,doc_id,event,time\nq,d,click,2026-01-01\nq,d,click,yesterday\n",
        ["row 3", "'time'", "yesterday"],
    ),
    "quote": (
        "e.csv", b'query_id,doc_id,event\nq,d,click\nq,"d,click\nq,d,click\n',
        ["row 3", "never closed", "twice"],
    ),
    "width": ("e.csv", b"query_id,doc_id,event\nq,d,click\nq,d\n", ["row 3", "expected 3"]),
    "parquet": ("e.parquet", b"PAR1" + b"x" * 100, ["e.parquet", "cut off"]),
    "json": ("e.jsonl", b'{"query_id":"q","doc_id":"d","event":"click"}\n{"query_id"\n', ["row 2"]),
    "empty": ("e.csv", b"", ["empty"]),
    "no rows": ("e.csv", b"query_id,doc_id,event\n", ["at least one row"]),
    "event": ("e.csv", b"query_id,doc_id,event\nq,d,peek\n", ["'peek' (1 rows)", "--event"]),
    "no views": ("e.csv", b"query_id,doc_id,event\nq,d,click\n", ["no impression"]),
    "no ids": ("e.csv", b"query_id,doc_id,clicks\n,d,1\nq,,1\n", ["none in any of 2 rows"]),
    "kind": ("e.xlsx", b"", ["expected files ending in"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_logs(case: str, tmp_path: Path) -> None:
    name, content, messages = BAD[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        make_labels(tmp_path / name, tmp_path / "out")
    for message in (name, *messages):
        assert message in str(raised.value)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_truncated_parquet_file(log: Path, tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_bytes(log.read_bytes()[:5000])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        make_labels(tmp_path / "e.parquet", tmp_path / "out")


def test_bad_parquet_values_name_their_row(tmp_path: Path) -> None:
    frame = pl.DataFrame({"query_id": ["q"] * 3, "doc_id": 1, "clicks": [0.0, 1.0, 0.5]})
    frame.write_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match=r"e\.parquet, row 2 \(counted from 0\), column 'clicks'"):
        make_labels(tmp_path / "e.parquet", tmp_path / "out")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_may_have_the_names_that_reading_adds(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame({"query_id": ["q"] * 2, "doc_id": ["a", "b"], "clicks": [0, 1]})
    more = frame.with_columns(pl.lit("x").alias("source file"), file_row_number=pl.lit(7))
    bad = more.with_columns(clicks=pl.Series([0, -1]))
    for name, table in (("good", more), ("bad", bad)):
        path = tmp_path / f"{name}.{kind}"
        table.write_csv(path) if kind == "csv" else table.write_parquet(path)
    made = make_labels(tmp_path / f"good.{kind}", tmp_path / "out")
    assert made.record["pairs"] == 2
    with pytest.raises(DataError, match=rf"bad\.{kind}.*column 'clicks': expected a whole number"):
        make_labels(tmp_path / f"bad.{kind}", tmp_path / "none")


def test_a_type_beside_counts_is_no_event(tmp_path: Path) -> None:
    row = {"query_id": ["q"], "doc_id": ["d"], "type": ["organic"], "clicks": [1]}
    pl.DataFrame(row).write_csv(tmp_path / "e.csv")
    assert make_labels(tmp_path / "e.csv", tmp_path / "out").record["pairs"] == 1


def test_names_are_no_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "a[1]*"
    folder.mkdir()
    row = {"query_id": ["q"], "doc_id": ["d"], "clicks": [1]}
    pl.DataFrame(row).write_csv(folder / "e[2].csv")
    assert make_labels(folder / "e[2].csv", folder / "out?").record["pairs"] == 1


def test_two_runs_do_not_write_one_output(log: Path, tmp_path: Path) -> None:
    started: list[str] = []

    def draw(folder: Path, _: object) -> None:
        with pytest.raises(OutputError, match="another run is writing it"):
            make_labels(log, tmp_path / "out")
        started.append(folder.name)

    make_labels(log, tmp_path / "out", draw=draw)
    assert started
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_options_out_of_range(tmp_path: Path) -> None:
    for wrong in (
        lambda: LabelOptions(propensities="magic"),
        lambda: LabelOptions(half_life=0),
        lambda: LabelOptions(grades=(0.5, 0.5)),
        lambda: Scoring(prior=-1),
        lambda: Scoring(event_weights={"view": 1}),
        lambda: EventFilters(max_position=0),
        lambda: ClickSimulation(shown=30),
    ):
        with pytest.raises(InputError):
            wrong()
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        make_labels(tmp_path / "e.csv", tmp_path / "out")


def test_no_pair_left_leaves_nothing_behind(log: Path, tmp_path: Path) -> None:
    options = LabelOptions(scoring=Scoring(min_impressions=10**9))
    with pytest.raises(DataError, match="min-impressions"):
        make_labels(log, tmp_path / "out", options)
    assert list(tmp_path.iterdir()) == []


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(
    simulation: ClickSimulation, tmp_path: Path
) -> None:
    log, out = tmp_path / "events.parquet", tmp_path / "out"
    simulation.events(1000).write_parquet(log)
    with killable_commands(
        "duckdb", "pyarrow.parquet", "rankfield.labels", "rankfield.report.plots"
    ) as start:
        started = time.monotonic()
        assert start("labels", log, tmp_path / "whole").wait() == 0
        takes = time.monotonic() - started
        for attempt in kill_at_random(lambda: start("labels", log, out), takes, 12):
            if out.exists():
                assert contents(out) == contents(tmp_path / "whole")
                out.rename(tmp_path / f"done-{attempt}")
        assert start("labels", log, out).wait() == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {p.name for p in tmp_path.iterdir() if not p.name.startswith("done-")} == {
        "events.parquet",
        "out",
        "whole",
    }


def test_counts_are_taken_up_again_and_only_if_they_are_the_same(log: Path, tmp_path: Path) -> None:
    def stop(made: Path, labels: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_labels(log, tmp_path / "out", draw=stop)
    kept = tmp_path / ".out.partial" / "statistics.parquet"
    before = kept.stat().st_mtime_ns
    with pytest.raises(KeyboardInterrupt):
        make_labels(log, tmp_path / "out", draw=stop)
    assert kept.stat().st_mtime_ns == before
    with pytest.raises(KeyboardInterrupt):
        make_labels(log, tmp_path / "out", LabelOptions(half_life=3), draw=stop)
    assert kept.stat().st_mtime_ns != before
    made = make_labels(log, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == made.record
    assert not kept.parent.exists()
