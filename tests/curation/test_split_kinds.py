"""Splits by time, group, stratum and fold: what each promises, over random data."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from rankfield.curation import TimeRule, dedupe, leak_report, split
from rankfield.curation.split_draw import draw_folds, draw_fraction
from rankfield.curation.texts import near_key, normalised
from rankfield.errors import SplitError
from rankfield.schema import Field, RankingDataset, ScoreScale

COLOURS = ["red", "tan", "blue", "oak"]


def make(
    queries: Sequence[tuple[str, str | None, int]],
    documents: Sequence[tuple[str, str | None, int]],
    pairs: Sequence[tuple[int, int]] | None = None,
) -> RankingDataset:
    """Texts, groups and times of queries and documents; every pair judged unless given."""
    if pairs is None:
        pairs = [(q, d) for q in range(len(queries)) for d in range(len(documents))]
    names = {"group": pl.String, "time": pl.Int64}
    return RankingDataset(
        name="made",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame(
            [(f"q{i}", *row) for i, row in enumerate(queries)],
            schema={"query_id": pl.String, "query": pl.String, **names},
            orient="row",
        ),
        documents=pl.DataFrame(
            [(f"d{i}", *row) for i, row in enumerate(documents)],
            schema={"doc_id": pl.String, "title": pl.String, **names},
            orient="row",
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [f"q{q}" for q, _ in pairs],
                "doc_id": [f"d{d}" for _, d in pairs],
                "score": [1.0] * len(pairs),
                "clicked": [q + d for q, d in pairs],
            }
        ),
    )


records = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(
                ["red mug", "Red  mug!", "mugs, red", "ＲＥＤ mug", "Straße", "STRASSE"]
            ),
            st.text(max_size=6),
        ),
        st.one_of(st.none(), st.sampled_from(["", "a", "b", "c", "q0", "d0"])),
        st.integers(0, 9),
    ),
    min_size=12,
    max_size=50,
)
kinds: Any = st.sampled_from(
    [
        {},
        {"by_time": [TimeRule("queries", "time")]},
        {"by_time": [TimeRule("documents", "time"), TimeRule("queries", "time", "4")]},
        {"by_time": [TimeRule("judgments", "clicked")]},
        {"folds": 3, "fold": 1},
        {"folds": 2, "fold": 0, "stratify_queries_by": "frequency"},
        {"stratify_documents_by": "time", "stratify_queries_by": "group"},
    ]
)


def crossing(keys: Iterable[Any], sides: Iterable[Any]) -> set[Any]:
    """Keys that stand on two sides; "" and None are none."""
    found = defaultdict(set)
    for key, side in zip(keys, sides, strict=True):
        found[key].add(side)
    return {key for key, both in found.items() if len(both) > 1 and key not in ("", None)}


@given(queries=records, documents=records, options=kinds, seed=st.integers(0, 9))
@settings(max_examples=120, deadline=None)
def test_no_id_group_or_normalised_text_crosses(
    queries: list[Any], documents: list[Any], options: dict[str, Any], seed: int
) -> None:
    data, _ = dedupe(make(queries, documents), tables=["documents"])
    try:
        done = split(
            data,
            queries=0.5,
            group_queries_by="group",
            group_documents_by="group",
            seed=seed,
            **options,
        )
    except SplitError:
        event("refused")
        return
    q, d = done.queries, done.documents
    assert q["query_id"].to_list() == data.queries["query_id"].to_list()
    assert d["doc_id"].to_list() == data.documents["doc_id"].to_list()
    sides = list(zip(q["seen"], q["subset"], strict=True))
    assert crossing(normalised(q["query"]), q["seen"]) == set()
    assert crossing(near_key(q["query"]), sides) == set()
    assert crossing(q["group"], sides) == set()
    assert crossing(d["group"], d["seen"]) == set()
    assert crossing(normalised(d["title"]), d["seen"]) == set()  # merged before
    report = leak_report(done, group_documents_by="group", group_queries_by="group")
    counts = {(leak.table, leak.kind): leak.count for leak in report.leaks}
    counts.pop(("documents", "same words in the title"))  # never promised
    assert set(counts.values()) == {0}
    # the splits of the judgments are those of their sides
    seen = dict(q.select("query_id", "seen").rows()) | dict(d.select("doc_id", "seen").rows())
    names = {
        (True, True): "in_domain",
        (False, True): "novel_query",
        (True, False): "novel_document",
        (False, False): "zero_shot",
    }
    for query, document, found in done.judgments.select("query_id", "doc_id", "split").rows():
        assert found == names[seen[query], seen[document]]


@given(
    queries=records,
    documents=records,
    options=kinds,
    shuffle=st.integers(0, 99),
    grouped=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_matter(
    queries: list[Any], documents: list[Any], options: dict[str, Any], shuffle: int, grouped: bool
) -> None:
    data = make(queries, documents)
    mixed = data.with_tables(
        queries=data.queries.sample(fraction=1, shuffle=True, seed=shuffle),
        documents=data.documents.sample(fraction=1, shuffle=True, seed=shuffle),
        judgments=data.judgments.sample(fraction=1, shuffle=True, seed=shuffle),
    )
    groups = {"group_queries_by": "group", "group_documents_by": "group"} if grouped else {}
    try:
        first = split(data, **groups, **options)  # type: ignore[arg-type]
    except SplitError:
        with pytest.raises(SplitError):
            split(mixed, **groups, **options)  # type: ignore[arg-type]
        return
    second = split(mixed, **groups, **options)  # type: ignore[arg-type]
    assert first.queries.sort("query_id").equals(second.queries.sort("query_id"))
    assert first.documents.sort("doc_id").equals(second.documents.sort("doc_id"))
    pair = ["query_id", "doc_id"]
    assert first.judgments.sort(pair).equals(second.judgments.sort(pair))
    assert first.provenance == second.provenance


def many(count: int = 60) -> list[tuple[str, str | None, int]]:
    return [(f"item {i}x", f"g{i // 2}", i) for i in range(count)]


def test_each_query_and_document_is_unseen_in_exactly_one_fold() -> None:
    data = make(many(), many(90))
    folds = [
        split(data, folds=4, fold=i, group_queries_by="group", group_documents_by="group", seed=3)
        for i in range(4)
    ]
    for table, per_fold in (("queries", 15), ("documents", 22.5)):
        unseen = [~getattr(done, table)["seen"] for done in folds]
        assert sum(one.cast(pl.Int64) for one in unseen).to_list() == [1] * len(unseen[0])
        assert all(abs(int(one.sum()) - per_fold) <= 2 for one in unseen)
    assert folds[1].provenance.notes[-1] == (
        "split: fold 1 of 4, dev 0.5, seed 3, documents grouped by group, queries grouped by group"
    )


def test_queries_alone_are_divided_where_all_documents_are_seen() -> None:
    data = make(many(), many(40))
    for options in ({"queries": 0.5}, {"folds": 4, "fold": 1}):
        done = split(data, documents=1, dev=0, seed=1, **options)
        assert done.documents["seen"].all()
        assert set(done.queries["subset"]) == {"test"}
        assert set(done.judgments["split"]) == {"in_domain", "novel_query"}
        view = done.view("novel_query", "test")
        assert view.documents.height == 40
        assert (
            view.queries.height
            == int((~done.queries["seen"]).sum())
            == 60 * (0.5 if "queries" in options else 0.25)
        )
        assert not leak_report(done).total
    assert split(data, documents=1).judged_splits("dev") == ["in_domain", "novel_query"]
    assert split(data, dev=0).judged_splits("dev") == []
    assert done.provenance.notes[-1] == "split: fold 1 of 4, documents 1, dev 0, seed 1"
    with pytest.raises(SplitError, match="cannot all be seen"):
        split(data, documents=1, by_time=[TimeRule("documents", "time")])
    later = split(data, documents=1, by_time=[TimeRule("judgments", "clicked", "30")])
    assert later.documents["seen"].all()


groups = st.lists(st.integers(0, 12), min_size=4, max_size=80)


@given(numbers=groups, folds=st.integers(2, 4), seed=st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_folds_are_balanced_in_every_stratum(numbers: list[int], folds: int, seed: int) -> None:
    keys = pl.Series([f"k{n}" for n in numbers])
    strata = pl.Series([COLOURS[n % 3] for n in numbers])
    if keys.n_unique() < folds:
        with pytest.raises(SplitError, match=r"into \d folds"):
            draw_folds(keys, folds, seed, "queries", strata=strata)
        return
    found = draw_folds(keys, folds, seed, "queries", strata=strata)
    assert crossing(keys, found) == set()
    largest = max(Counter(numbers).values())
    for stratum in strata.unique():
        sizes = Counter(found.filter(strata == stratum))
        spread = [sizes.get(fold, 0) for fold in range(folds)]
        assert max(spread) - min(spread) <= largest


@given(
    numbers=st.lists(st.integers(0, 3), min_size=8, max_size=120),
    fraction=st.floats(0.1, 0.9),
    seed=st.integers(0, 9),
)
@settings(max_examples=80, deadline=None)
def test_fractions_hold_in_every_stratum_as_well_as_rounding_allows(
    numbers: list[int], fraction: float, seed: int
) -> None:
    keys = pl.Series([f"k{i}" for i in range(len(numbers))])
    strata = pl.Series([COLOURS[n] for n in numbers])
    taken = draw_fraction(keys, fraction, seed, "queries", strata=strata, notes=[])
    total = min(max(round(fraction * len(numbers)), 1), len(numbers) - 1)
    assert int(taken.sum()) == total
    for colour in strata.unique():
        own = taken.filter(strata == colour)
        assert abs(int(own.sum()) - fraction * len(own)) < 1 + 1e-9


def test_strata_by_frequency_and_by_numbers() -> None:
    pairs = [(q, d) for q in range(60) for d in range(2 + q % 30)]
    data = make(many(), many(40), pairs)
    done = split(data, stratify_queries_by="frequency", stratify_documents_by="time")
    counts = data.judgments.group_by("query_id").len()
    both = done.queries.join(counts, on="query_id").sort("len", "query_id")
    for fifth in range(5):  # of each fifth by number of judgments, four fifths are seen
        assert abs(int(both[fifth * 12 : fifth * 12 + 12]["seen"].sum()) - 9.6) <= 2
    halves = [int(done.documents[i : i + 8]["seen"].sum()) for i in range(0, 40, 8)]
    assert all(abs(half - 4) <= 1 for half in halves)


def test_records_without_a_stratum_are_one() -> None:
    data = make(many(), many(40))
    blank = data.queries.with_columns(pl.when(pl.col("time") >= 20).then("time").alias("time"))
    done = split(data.with_tables(queries=blank), stratify_queries_by="time")
    assert int(done.queries[:20]["seen"].sum()) == 16


def test_by_time_the_future_is_unseen() -> None:
    data = make(many(), many(90))
    done = split(data, by_time=[TimeRule("queries", "time"), TimeRule("documents", "time", "30")])
    assert done.queries["seen"].to_list() == [i < 48 for i in range(60)]
    assert done.documents["seen"].to_list() == [i < 30 for i in range(90)]
    assert "split: queries seen before 48 of time: 80.0%" in done.provenance.notes
    assert "split: documents seen before 30 of time: 33.3%" in done.provenance.notes


def test_a_group_is_of_the_past_if_any_of_it_is() -> None:
    data = make([("mug red", None, 90), *many(), ("Red mug", None, 0)], many(40))
    done = split(data, by_time=[TimeRule("queries", "time", "30")])
    assert done.queries["seen"].to_list() == [True, *(i < 30 for i in range(60)), True]


def test_by_the_time_of_judgments_training_knows_nothing_later() -> None:
    pairs = [(q, d) for q in range(40) for d in range(40)]
    data = make(many(40), many(45), pairs)
    done = split(data, by_time=[TimeRule("judgments", "clicked", "30")])
    assert done.queries["seen"].to_list() == [i < 30 for i in range(40)]
    assert done.documents["seen"][:40].to_list() == [i < 30 for i in range(40)]
    assert set(done.documents["seen"][40:]) == {True, False}  # never judged: drawn
    trained = done.judgments.filter(pl.col("split") == "in_domain")
    assert trained["clicked"].max() == 29
    late = sum(q + d >= 30 for q in range(30) for d in range(30))
    assert done.judgments.height == 1600 - late
    assert f"split: dropped {late:,} judgments of seen pairs from the cut on" in (
        done.provenance.notes
    )


@pytest.mark.parametrize(
    ("column", "cut"),
    [
        (pl.Series([date(2025, 1, 1 + i % 28) for i in range(60)]), "2025-01-15"),
        (pl.Series([datetime(2025, 1, 1 + i % 28, 12) for i in range(60)]), "2025-01-15 00:00"),
        (pl.Series([f"2025-01-{1 + i % 28:02d}" for i in range(60)]), "2025-01-15"),
        (pl.Series([f"2025-01-{1 + i % 28:02d}T00:30:00+01:00" for i in range(60)]), "2025-01-14"),
        (
            pl.Series(
                [datetime(2025, 1, 1 + i % 28, 0, 30) for i in range(60)]
            ).dt.replace_time_zone("Asia/Tokyo"),
            "2025-01-15T00:00:00+09:00",
        ),
        (pl.Series([1.0 + i % 28 for i in range(60)]), "15"),
        (pl.Series([str(1 + i % 28) for i in range(60)]), "15.0"),
    ],
)
def test_kinds_of_time(column: pl.Series, cut: str) -> None:
    data = make(many(), many(40))
    data = data.with_tables(queries=data.queries.with_columns(column.alias("asked")))
    done = split(data, by_time=[TimeRule("queries", "asked", cut)])
    assert done.queries["seen"].to_list() == [1 + i % 28 < 15 for i in range(60)]
    found = split(data, by_time=[TimeRule("queries", "asked")])
    assert math.isclose(float(found.queries["seen"].mean()), 0.8, abs_tol=0.05)  # type: ignore[arg-type]
    (note,) = (n for n in found.provenance.notes if "seen before" in n)
    shown = "2025-01-2" if "-" in cut else "before 2"
    assert shown in note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "2 folds or more"),
        ({"folds": 3, "fold": 3}, "a fold from 0 to folds − 1, found 3 and 3"),
        ({"folds": 90}, "60 groups. into 90 folds"),
        ({"folds": 3, "by_time": [TimeRule("queries", "time")]}, "choose one of them"),
        (
            {"stratify_queries_by": "group", "by_time": [TimeRule("judgments", "clicked")]},
            "divided by time, so they cannot be stratified",
        ),
        ({"by_time": [TimeRule("queries", "time")] * 2}, "found queries, queries"),
        (
            {"by_time": [TimeRule("queries", "time"), TimeRule("judgments", "clicked")]},
            "found queries, judgments",
        ),
        ({"by_time": [TimeRule("queries", "asked")]}, "no column 'asked' to split by; found que"),
        ({"by_time": [TimeRule("queries", "query")]}, "expected dates, ISO dates as text"),
        ({"by_time": [TimeRule("queries", "time", "soon")]}, "or numbers, found 'soon'"),
        ({"by_time": [TimeRule("queries", "time", "0")]}, "everything is after the cut"),
        ({"by_time": [TimeRule("queries", "time", "900")]}, "everything is before the cut"),
        ({"stratify_documents_by": "colour"}, "no column 'colour' to stratify by"),
        ({"group_queries_by": "colour"}, "the queries have no column 'colour' to group by"),
    ],
)
def test_what_makes_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split(make(many(), many(40)), **options)
    with pytest.raises(SplitError, match=r"expected queries\.COLUMN"):
        TimeRule.parse("asked")


def test_records_without_a_time() -> None:
    data = make(many(), many(40))
    blank = data.queries.with_columns(pl.when(pl.col("time") > 3).then("time").alias("time"))
    with pytest.raises(SplitError, match="4 queries have no time in 'time'"):
        split(data.with_tables(queries=blank), by_time=[TimeRule("queries", "time")])


def test_near_duplicates_that_cross_are_reported_when_asked_for() -> None:
    titles = [("large striped red mug", None, 0), ("large striped red mugs", None, 9)]
    titles += [("Large, striped RED mug", None, 9), ("oak table", None, 9)]
    data = make(many(), [*titles, *many(40)])
    done = split(data, by_time=[TimeRule("documents", "time", "5")])
    assert not any("near" in leak.kind for leak in leak_report(done).leaks)
    report = leak_report(done, near_texts=0.8)
    (found,) = (leak for leak in report.leaks if leak.table == "documents" and "near" in leak.kind)
    assert found.kind == "near: title ≥ 0.8 (Jaccard of characters:4)"
    assert found.count == 1
    assert found.examples == (("d0: large striped red mug", "d1: large striped red mugs"),)
