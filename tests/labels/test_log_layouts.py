"""Logs of known standards are recognised, and nested columns can be named in any log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from logs_of_standards import (
    ga4_rows,
    ubi_events,
    ubi_queries,
    write_bulk,
    write_lines,
)
from rankfield.errors import DataError, InputError
from rankfield.labels import LabelOptions, Scoring, make_labels

COUNTS = ("query", "doc_id", "impressions", "clicks", "carts", "orders", "examinations")
UBI = [
    ("hat", "a", 1, 1, 0, 0, 1.0),
    ("hat", "b", 1, 0, 0, 0, 0.5),
    ("red shoe", "a", 2, 0, 0, 0, 1.5),
    ("red shoe", "b", 2, 2, 0, 1, 1.5),
]
"""Each list counts for itself: a and b were once first and once second for "red shoe"."""


def made(log: Path, out: Path, **options: Any) -> tuple[list[tuple[Any, ...]], list[str], Any]:
    known = LabelOptions(propensities={1: 1, 2: 0.5}, scoring=Scoring(prior=0), **options)
    labels = make_labels(log, out, known)
    frame = pl.read_parquet(out / "judgments.parquet")
    if (out / "queries.parquet").exists():
        frame = frame.join(pl.read_parquet(out / "queries.parquet"), on="query_id")
    else:
        frame = frame.with_columns(query="query_id")
    return frame.select(COUNTS).sort("query", "doc_id").rows(), list(labels.notes), labels.record


@pytest.fixture
def ubi(tmp_path: Path) -> Path:
    folder = tmp_path / "ubi"
    folder.mkdir()
    write_lines(folder / "ubi_events.ndjson", ubi_events())
    write_lines(folder / "ubi_queries.ndjson", ubi_queries())
    return folder


def test_ubi_events_and_queries_side_by_side(ubi: Path, tmp_path: Path) -> None:
    rows, notes, record = made(ubi, tmp_path / "out")
    assert rows == UBI
    assert record["layout"] == "User Behavior Insights (UBI)"
    assert "the log is of User Behavior Insights (UBI)" in notes[0]
    assert any("positions count from 0" in note for note in notes)
    assert any("2 applications, counted together: 'help' (1 rows), 'shop'" in n for n in notes)
    assert any("1 clicks, carts and orders without a query" in note for note in notes)
    assert any("'page_exit' (1 rows)" in note for note in notes)
    assert record["dropped"]["rows"] == {"without an id": 1}


def write_tables(folder: Path, kind: str, tables: dict[str, list[dict[str, Any]]]) -> Path:
    """Write each table with columns of its own; CSV as JSON or, of positions and ids, flat."""
    folder.mkdir()
    for name, rows in tables.items():
        frame = pl.DataFrame(rows, infer_schema_length=None)
        if kind == "parquet":
            frame.write_parquet(folder / f"{name}.parquet")
            continue
        nested = [c for c, dtype in frame.schema.items() if dtype.is_nested()]
        texts = {c: [json.dumps(row.get(c)) for row in rows] for c in nested}
        frame = frame.with_columns(pl.Series(c, values) for c, values in texts.items())
        frame.write_csv(folder / f"{name}.{kind}", separator="\t" if kind == "tsv" else ",")
    return folder


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_ubi_events_and_queries_as_tables(kind: str, tmp_path: Path) -> None:
    """Each has columns that the other lacks, in another order."""
    events, queries = ubi_events(), ubi_queries()
    tables = {"ubi_events-0": events[:4], "ubi_events-1": events[4:], "ubi_queries": queries}
    rows, notes, record = made(write_tables(tmp_path / "ubi", kind, tables), tmp_path / "out")
    assert rows == UBI
    assert record["layout"] == "User Behavior Insights (UBI)"
    assert "the log is of User Behavior Insights (UBI)" in notes[0]


def test_a_wrong_value_in_tables_of_several_headers_names_its_row(tmp_path: Path) -> None:
    events = ubi_events()
    events[2] |= {"timestamp": "yesterday"}
    tables = {"a_queries": ubi_queries(), "b_events": events}
    folder = write_tables(tmp_path / "ubi", "csv", tables)
    with pytest.raises(DataError, match=r"b_events\.csv, row 4, column 'timestamp'.*'yesterday'"):
        made(folder, tmp_path / "out")


def test_other_logs_have_parts_with_the_same_columns(tmp_path: Path) -> None:
    row = {"query": "a", "doc_id": "b", "event": "click", "position": 1}
    tables = {"1": [row], "2": [{k: v for k, v in row.items() if k != "position"}]}
    for kind in ("csv", "parquet"):
        folder = write_tables(tmp_path / kind, kind, tables)
        with pytest.raises(DataError, match=r"2\.(csv|parquet).*expected the columns of 1\."):
            made(folder, tmp_path / "out")


def test_a_bulk_request_in_which_events_come_late(tmp_path: Path) -> None:
    log = tmp_path / "bulk.ndjson"
    for _ in range(700):  # more rows than are looked at for names
        write_bulk(log, "ubi_queries", ubi_queries())
    write_bulk(log, "ubi_events", ubi_events())
    assert made(log, tmp_path / "out")[0] == UBI


def test_ubi_as_parquet_with_the_text_in_each_event(tmp_path: Path) -> None:
    texts = {row["query_id"]: row["user_query"] for row in ubi_queries()}
    events = [row | {"user_query": texts.get(row.get("query_id", ""))} for row in ubi_events()]
    log = write_lines(tmp_path / "events.ndjson", events)
    pl.read_ndjson(log, infer_schema_length=None).write_parquet(tmp_path / "events.parquet")
    assert made(log, tmp_path / "lines")[0] == UBI
    assert made(tmp_path / "events.parquet", tmp_path / "parquet")[0] == UBI


def test_flat_ubi_columns_do_not_take_each_issued_query_for_one(tmp_path: Path) -> None:
    texts = {row["query_id"]: row["user_query"] for row in ubi_queries()}
    flat = [
        {
            "action_name": row["action_name"],
            "query_id": row["query_id"],
            "user_query": texts[row["query_id"]],
            "session_id": row["session_id"],
            "timestamp": row["timestamp"],
            "object_id": row["event_attributes"]["object"]["object_id"],
            "position": row["event_attributes"]["position"]["ordinal"],
        }
        for row in ubi_events()
        if row.get("query_id")
    ]
    pl.DataFrame(flat).write_csv(tmp_path / "ubi_events.csv")
    rows = made(tmp_path / "ubi_events.csv", tmp_path / "out")[0]
    assert [row[:4] for row in rows] == [row[:4] for row in UBI]


def test_the_key_of_ubi_judgments_can_be_chosen(ubi: Path, tmp_path: Path) -> None:
    by_group = {"query": "query_attributes.group.name"}
    rows = made(ubi, tmp_path / "group", columns=by_group)[0]
    assert [row[:4] for row in rows] == [
        ("hat", "a", 1, 1), ("hat", "b", 1, 0), ("shoe", "a", 2, 0), ("shoe", "b", 2, 2),
    ]  # fmt: skip
    issued = made(ubi, tmp_path / "issued", columns={"query_id": "query_id"})[0]
    assert {row[0] for row in issued} == {"q1", "q2", "q3"}


def test_one_application_can_be_chosen(ubi: Path, tmp_path: Path) -> None:
    rows, notes, record = made(ubi, tmp_path / "out", applications=("shop",))
    assert rows == UBI
    assert not any("applications" in note for note in notes)
    assert record["dropped"]["rows"] == {}
    with pytest.raises(DataError, match="expected at least one row"):
        made(ubi, tmp_path / "none", applications=("absent",))


def test_ubi_without_texts_says_where_they_are(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "ubi_events.ndjson", ubi_events())
    with pytest.raises(DataError, match=r"ubi_queries: put it beside the events") as raised:
        made(log, tmp_path / "out")
    assert "Did you mean" not in str(raised.value)
    rows = made(log, tmp_path / "issued", columns={"query_id": "query_id"})[0]
    assert len(rows) == 6


def test_ubi_views_are_asked_for(ubi: Path, tmp_path: Path) -> None:
    views = [
        row | {"action_name": "view"} if row["action_name"] == "impression" else row
        for row in ubi_events()
    ]
    write_lines(ubi / "ubi_events.ndjson", views)
    with pytest.raises(DataError, match=r"'view' \(6 rows\)"):
        made(ubi, tmp_path / "none")
    assert made(ubi, tmp_path / "out", events={"view": "impression"})[0] == UBI


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_google_analytics_export(tmp_path: Path, kind: str) -> None:
    log = write_lines(tmp_path / "ga4.jsonl", ga4_rows())
    if kind == "parquet":
        schema: dict[str, Any] = {
            "event_timestamp": pl.Int64, "event_name": pl.String, "user_pseudo_id": pl.String,
            "event_params": pl.List(pl.Struct({"key": pl.String, "value": pl.Struct(
                {"string_value": pl.String, "int_value": pl.Int64})})),
            "items": pl.List(pl.Struct(
                {"item_id": pl.String, "item_list_index": pl.String})),
        }  # fmt: skip
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        for row in rows:
            row["event_timestamp"] = int(row["event_timestamp"])
            for param in row["event_params"]:
                number = param["value"]["int_value"]
                param["value"]["int_value"] = None if number is None else int(number)
            for item in row["items"]:
                del item["item_name"]
        log = tmp_path / "ga4.parquet"
        pl.DataFrame([{k: row[k] for k in schema} for row in rows], schema=schema).write_parquet(
            log
        )
    rows, notes, record = made(log, tmp_path / "out")
    assert rows == [("hat", "a", 1, 0, 0, 0, 1.0), ("hat", "b", 1, 1, 1, 1, 0.5)]
    assert record["layout"] == "Google Analytics 4 (BigQuery export)"
    assert "items.item_id" in notes[0]
    assert record["dropped"]["unplaced"] == 1  # c has no place in the list


def test_nested_columns_of_any_log(tmp_path: Path) -> None:
    rows = [
        {"who": {"s": "s1"}, "q": {"text": "hat"}, "what": word, "list": {"docs": docs}}
        for word, docs in (
            ("impression", [{"id": "a", "at": 1}, {"id": "b", "at": 2}]),
            ("click", {"id": "b"}),
        )
    ]
    columns = {
        "session_id": "who.s", "query": "q.text", "event": "what", "doc_id": "list.docs.id",
        "position": "list.docs.at",
    }  # fmt: skip
    log = write_lines(tmp_path / "e.jsonl", rows)
    found = made(log, tmp_path / "out", columns=columns)[0]
    assert found == [("hat", "a", 1, 0, 0, 0, 1.0), ("hat", "b", 1, 1, 0, 0, 0.5)]
    texts = [
        {k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()} for row in rows
    ]
    pl.DataFrame(texts).write_csv(tmp_path / "e.csv")
    assert made(tmp_path / "e.csv", tmp_path / "csv", columns=columns)[0] == found


def test_columns_of_two_lists_are_refused(tmp_path: Path) -> None:
    row = {"query": "q", "docs": [{"id": "a"}], "at": [{"n": 1}], "event": "click"}
    log = write_lines(tmp_path / "e.jsonl", [row])
    with pytest.raises(InputError, match="inside of one list at most, found at and docs"):
        made(log, tmp_path / "out", columns={"doc_id": "docs.id", "position": "at.n"})


def test_a_wrong_nested_value_names_its_row(ubi: Path, tmp_path: Path) -> None:
    rows = ubi_events()
    rows[3]["event_attributes"]["position"]["ordinal"] = -7
    write_lines(ubi / "ubi_events.ndjson", rows)
    with pytest.raises(DataError, match=r"ubi_events\.ndjson, row 4, column 'event_attributes\.po"):
        made(ubi, tmp_path / "out")


@pytest.mark.parametrize(
    "names",
    [
        ("queryId", "itemId", "eventType", "sessionId", "Position"),
        ("QUERY_ID", "DOC_ID", "EVENT", "SESSION_ID", "POSITION"),
        ("Query ID", "product-id", "Event", "session id", "Rank"),
    ],
)
def test_names_in_any_spelling(names: tuple[str, ...], tmp_path: Path) -> None:
    rows = [("q", "a", "impression", "s", 1), ("q", "b", "impression", "s", 2),
            ("q", "b", "click", "s", 2)]  # fmt: skip
    pl.DataFrame(rows, schema=list(names), orient="row").write_csv(tmp_path / "e.csv")
    found = made(tmp_path / "e.csv", tmp_path / "out")[0]
    assert [row[:4] for row in found] == [("q", "a", 1, 0), ("q", "b", 1, 1)]


def test_a_chosen_text_is_not_overruled_by_an_id(tmp_path: Path) -> None:
    table = [("1", "Hat", "a", 1), ("2", "hat ", "a", 0)]
    schema = ["query_id", "phrase", "doc_id", "clicks"]
    pl.DataFrame(table, schema=schema, orient="row").write_csv(tmp_path / "e.csv")
    rows = made(tmp_path / "e.csv", tmp_path / "out", columns={"query": "phrase"})[0]
    assert [row[:4] for row in rows] == [("hat", "a", 2, 1)]


def test_texts_are_never_advised_to_be_ids(tmp_path: Path) -> None:
    pl.DataFrame({"phrase": ["red hat"], "doc_id": ["a"], "clicks": [1]}).write_csv(
        tmp_path / "e.csv"
    )
    with pytest.raises(DataError, match=r"--column query=NAME \(a text\) or --column query_id="):
        made(tmp_path / "e.csv", tmp_path / "none")
    _, notes, _ = made(tmp_path / "e.csv", tmp_path / "out", columns={"query_id": "phrase"})
    assert any("seems to hold texts" in note and "--column query=phrase" in note for note in notes)
