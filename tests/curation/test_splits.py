"""The four-way split: nothing that belongs together is divided, whatever the data."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.curation import dedupe, group_duplicates, leak_report
from rankfield.curation.splits import split, split_sizes
from rankfield.curation.texts import near_key, normalised
from rankfield.errors import DataError, SplitError
from rankfield.schema import SPLITS, Field, RankingDataset, ScoreScale


def make(
    queries: list[str], groups: list[str | None], pairs: list[tuple[int, int]] | None = None
) -> RankingDataset:
    """Queries of these texts, documents of these groups; every pair judged unless given."""
    if pairs is None:
        pairs = [(q, d) for q in range(len(queries)) for d in range(len(groups))]
    return RankingDataset(
        name="made",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame(
            {"query_id": [f"q{i}" for i in range(len(queries))], "query": queries}
        ),
        documents=pl.DataFrame(
            {
                "doc_id": [f"d{i}" for i in range(len(groups))],
                "title": [f"title {i}" for i in range(len(groups))],
                "style": groups,
            },
            schema={"doc_id": pl.String, "title": pl.String, "style": pl.String},
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [f"q{q}" for q, _ in pairs],
                "doc_id": [f"d{d}" for _, d in pairs],
                "score": [1.0] * len(pairs),
            }
        ),
    )


texts = st.lists(
    st.one_of(
        st.sampled_from(
            ["red mug", "Red  mug!", "ＲＥＤ mug", "red_mug", "Straße", "STRASSE", "?"]
        ),
        st.text(max_size=8),
    ),
    min_size=12,
    max_size=60,
)
styles = st.lists(
    st.one_of(st.none(), st.sampled_from(["", "a", "b", "c", "d0"]), st.text(max_size=2)),
    min_size=12,
    max_size=60,
)


@given(texts=texts, styles=styles, seed=st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_nothing_that_belongs_together_crosses(
    texts: list[str], styles: list[str | None], seed: int
) -> None:
    try:
        done = split(make(texts, styles), group_documents_by="style", queries=0.5, seed=seed)
    except SplitError:
        return
    assert done.queries["query_id"].is_unique().all()
    assert done.documents["doc_id"].is_unique().all()
    words = done.queries.with_columns(text=normalised(done.queries["query"]))
    same = (
        words.filter(pl.col("text") != "").group_by("text").agg(pl.col("seen", "subset").n_unique())
    )
    assert same.select(pl.max_horizontal("seen", "subset") <= 1).to_series().all()
    grouped = done.documents.filter(pl.col("style") != "").group_by("style")
    assert (grouped.agg(pl.col("seen").n_unique())["seen"] <= 1).all()
    assert set(done.judgments["split"]) == set(SPLITS)


@given(
    texts=texts,
    titles=st.lists(
        st.one_of(
            st.sampled_from(["Mug", "mug!", "ＭＵＧ", "mugs", "tan mug", "Mug (tan)", "", "?"]),
            st.text(max_size=4),
        ),
        min_size=12,
        max_size=60,
    ),
    seed=st.integers(0, 5),
)
@settings(max_examples=25, deadline=None)
def test_no_normalised_text_crosses_once_twins_are_grouped_or_merged(
    texts: list[str], titles: list[str], seed: int
) -> None:
    """Queries never share words across sides; documents do not after `dedupe`, as group or not."""
    made = make(texts, [None] * len(titles))
    data = made.with_tables(documents=made.documents.with_columns(title=pl.Series(titles)))
    grouped, _ = group_duplicates(data, "same")
    for unsplit, group in ((grouped, "same"), (dedupe(data)[0], None)):
        try:
            done = split(unsplit, group_documents_by=group, queries=0.5, seed=seed)
        except SplitError:
            continue
        report = leak_report(done, group_documents_by=group)
        counts = {(leak.table, leak.kind): leak.count for leak in report.leaks}
        assert counts.pop(("documents", "same words in the title")) >= 0  # never promised
        assert set(counts.values()) == {0}
        # and in plain Python, which the report has no part in
        for keys, seen in (
            (near_key(done.queries["query"]), done.queries["seen"]),
            (normalised(done.documents["title"]), done.documents["seen"]),
        ):
            sides: dict[str, set[bool]] = {}
            for key, side in zip(keys, seen, strict=True):
                sides.setdefault(key, set()).add(side)
            assert all(len(both) == 1 for words, both in sides.items() if words)


@given(texts=texts, styles=styles, shuffle=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_does_not_matter(
    texts: list[str], styles: list[str | None], shuffle: int
) -> None:
    data = make(texts, styles)
    mixed = data.with_tables(
        queries=data.queries.sample(fraction=1, shuffle=True, seed=shuffle),
        documents=data.documents.sample(fraction=1, shuffle=True, seed=shuffle),
        judgments=data.judgments.sample(fraction=1, shuffle=True, seed=shuffle),
    )
    try:
        first = split(data, group_documents_by="style")
    except SplitError:
        with pytest.raises(SplitError):
            split(mixed, group_documents_by="style")
        return
    second = split(mixed, group_documents_by="style")
    assert first.queries.sort("query_id").equals(second.queries.sort("query_id"))
    assert first.documents.sort("doc_id").equals(second.documents.sort("doc_id"))
    keys = ["query_id", "doc_id"]
    assert first.judgments.sort(keys).equals(second.judgments.sort(keys))


@given(queries=st.floats(0.2, 0.9), documents=st.floats(0.2, 0.8), seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_fractions_are_met(queries: float, documents: float, seed: int) -> None:
    data = make([f"query number {i}" for i in range(100)], [f"s{i // 2}" for i in range(200)])
    done = split(data, queries=queries, documents=documents, group_documents_by="style", seed=seed)
    assert abs(int(done.queries["seen"].sum()) - 100 * queries) <= 1
    assert abs(int(done.documents["seen"].sum()) - 200 * documents) <= 2
    for seen in (True, False):
        side = done.queries.filter(pl.col("seen") == seen)
        assert abs(int((side["subset"] == "dev").sum()) - side.height / 2) <= 1


def test_splits_follow_the_sides() -> None:
    done = split(make([f"query {i}" for i in range(20)], [None] * 20))
    sides = done.judgments.join(done.queries.select("query_id", q="seen"), on="query_id").join(
        done.documents.select("doc_id", d="seen"), on="doc_id"
    )
    assert set(sides.select("q", "d", "split").unique().rows()) == {
        (True, True, "in_domain"),
        (False, True, "novel_query"),
        (True, False, "novel_document"),
        (False, False, "zero_shot"),
    }
    sizes = split_sizes(done)
    assert sizes["judgments"].sum() == 400
    assert sizes.filter(pl.col("split") == "zero_shot")["documents"].to_list() == [10, 10]
    assert sizes.filter(pl.col("split") == "in_domain")["queries"].to_list() == [8, 8]
    assert done.view("zero_shot", "test").queries.height == 2


def test_a_seed_repeats_and_another_differs() -> None:
    data = make([f"query {i}" for i in range(40)], [None] * 40)
    assert split(data, seed=1).documents.equals(split(data, seed=1).documents)
    assert not split(data, seed=1).documents.equals(split(data, seed=2).documents)


def test_splitting_again_replaces() -> None:
    data = make([f"query {i}" for i in range(40)], [None] * 40)
    again = split(split(data, seed=1), seed=2)
    assert again.documents.equals(split(data, seed=2).documents)
    assert again.judgments.equals(split(data, seed=2).judgments)
    assert len([n for n in again.provenance.notes if n.startswith("split: ")]) == 1


def test_plurals_and_word_order_stay_together() -> None:
    filler = [f"query {i}" for i in range(30)]
    for seed in range(6):
        done = split(
            make(["laptop", "Laptops", "black laptop", "laptops, BLACK", *filler], [None] * 20),
            seed=seed,
            queries=0.5,
        )
        rows = done.queries.select("seen", "subset").rows()
        assert rows[0] == rows[1]
        assert rows[2] == rows[3]


def test_a_huge_group_does_not_overshoot_silently() -> None:
    done = split(
        make([f"query {i}" for i in range(20)], ["huge"] * 70 + [None] * 30),
        group_documents_by="style",
        documents=0.5,
    )
    assert done.documents["seen"].sum() == 30
    assert any("huge" in note and "30.0%" in note for note in done.provenance.notes)


def test_near_keys() -> None:
    forms = pl.Series(
        ["batteries", "Battery", "cookies", "cookie", "glasses", "glass", "boxes", "box"]
    )
    keys = near_key(forms).to_list()
    assert keys[0::2] == keys[1::2]
    assert near_key(pl.Series(["bus", "tennis", "tvs", None, "!?"])).to_list() == [
        "bus",
        "tennis",
        "tv",
        "",
        "",
    ]


def test_normalised() -> None:
    given_texts = pl.Series(["Men's  T-shirt!", "ＦＵＬＬ　width", "Straße", "a_b", None])
    assert normalised(given_texts).to_list() == [
        "men s t shirt",
        "full width",
        "strasse",
        "a b",
        "",
    ]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 2.0, float("nan")])
@pytest.mark.parametrize("name", ["queries", "documents", "dev"])
def test_fractions_out_of_range(fraction: float, name: str) -> None:
    if (name, fraction) in (("documents", 1.0), ("dev", 0.0)):
        return  # all documents are seen, no query is for development
    with pytest.raises(SplitError, match=name):
        split(make(["a", "b"], [None, None]), **{name: fraction})  # type: ignore[arg-type]


def test_an_unknown_group_column_is_named() -> None:
    with pytest.raises(SplitError, match=r"no column .stile..*style"):
        split(make(["a", "b"], [None, None]), group_documents_by="stile")


def test_too_small_says_which_cell() -> None:
    data = make([f"query {i}" for i in range(10)], [None] * 10, pairs=[(0, 0), (1, 1)])
    with pytest.raises(SplitError, match=r"no judged query in .*(zero_shot|novel).* × (dev|test)"):
        split(data)
    with pytest.raises(SplitError, match=r"cannot divide 10 documents .1 group. in two"):
        split(make([f"query {i}" for i in range(10)], ["one"] * 10), group_documents_by="style")


def test_unknown_and_duplicate_ids() -> None:
    data = make([f"query {i}" for i in range(20)], [None] * 20, pairs=[(0, 0), (1, 99)])
    with pytest.raises(DataError, match=r"judgments, row 1 .*'d99' is not among"):
        split(data)
    twice = make(["a", "b", "c"], [None] * 3)
    twice = twice.with_tables(documents=pl.concat([twice.documents, twice.documents.head(1)]))
    with pytest.raises(DataError, match=r"documents, row 3 .*'d0' occurs more than once"):
        split(twice)
