"""Exact duplicates: which records are the same, which one stays, what becomes of judgments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.curation import (
    clusters_of_keys,
    clusters_of_pairs,
    dedupe,
    group_duplicates,
    split,
)
from rankfield.curation.clusters import Scores
from rankfield.curation.texts import normalised
from rankfield.errors import DataError, SplitError
from rankfield.schema import DatasetFolder, Field, RankingDataset, ScoreScale
from rankfield.validate import require_valid

TITLES = ["Red mug", "red  MUG!", "RED_mug", "mug red", "", "?", "Straße", "STRASSE", "tan cup"]


def make(
    titles: Sequence[tuple[str, str | None]],
    scores: list[tuple[int, int, float]],
    queries: int = 6,
) -> RankingDataset:
    """Documents of these titles and brands, queries "q 0", "Q 0?", "q 1", …, two of each."""
    pairs = {(q, d): score for q, d, score in scores}
    return RankingDataset(
        name="made",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"), Field("brand", "text")),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame(
            {
                "query_id": [f"q{i}" for i in range(queries)],
                "query": [f"{'Q  ' if i % 2 else 'q '}{i // 2}?" for i in range(queries)],
            }
        ),
        documents=pl.DataFrame(
            {
                "doc_id": [f"d{len(titles) - i:02d}" for i in range(len(titles))],
                "title": [title for title, _ in titles],
                "brand": [brand for _, brand in titles],
            },
            schema={"doc_id": pl.String, "title": pl.String, "brand": pl.String},
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [f"q{q}" for q, _ in pairs],
                "doc_id": [f"d{len(titles) - d:02d}" for _, d in pairs],
                "score": list(pairs.values()),
                "note": [f"{q}-{d}" for q, d in pairs],
            },
            schema={
                "query_id": pl.String,
                "doc_id": pl.String,
                "score": pl.Float64,
                "note": pl.String,
            },
        ),
    )


def plainly(data: RankingDataset, scores: str) -> tuple[set[str], dict[tuple[str, str], float]]:
    """What stays, in plain Python: ids of documents, and the score of each pair."""
    stands: dict[str, str] = {}
    for table, identity in (("queries", "query_id"), ("documents", "doc_id")):
        frame: pl.DataFrame = getattr(data, table)
        same = defaultdict(list)
        names = [f.name for f in data.fields(table)]
        words = [normalised(frame[name]).to_list() for name in names]
        for i, record in enumerate(frame[identity]):
            key = tuple(column[i] for column in words)
            same[key if any(key) else record].append(record)
        stands |= {record: min(records) for records in same.values() for record in records}
    found = defaultdict(list)
    for query, document, score, _ in data.judgments.rows():
        found[stands[query], stands[document]].append(score)
    rules: dict[str, Callable[[list[float]], float]] = {
        "max": max,
        "first": lambda values: values[0],
        "mean": lambda values: sum(values) / len(values),
    }
    one = rules[scores]
    left = {stands[d] for d in data.documents["doc_id"]}
    return left, {pair: one(values) for pair, values in found.items()}


records = st.lists(
    st.tuples(st.sampled_from(TITLES), st.sampled_from(["A", "a", "b", None, ""])),
    min_size=1,
    max_size=20,
)


@given(
    titles=records,
    judged=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 19), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        min_size=1,
        max_size=40,
    ),
    scores=st.sampled_from(get_args(Scores)),
)
@settings(max_examples=60, deadline=None)
def test_it_is_what_plain_python_does(
    titles: list[tuple[str, str | None]],
    judged: list[tuple[int, int, float]],
    scores: Literal["max", "mean", "first"],
) -> None:
    data = make(titles, [(q, d % len(titles), s) for q, d, s in judged])
    done, report = dedupe(data, scores=scores)
    left, pairs = plainly(data, scores)
    assert set(done.documents["doc_id"]) == left
    assert done.queries["query_id"].to_list() == ["q0", "q2", "q4"]
    assert {(q, d): s for q, d, s, _ in done.judgments.rows()} == pytest.approx(pairs)
    assert done.judgments.height == len(pairs)
    assert report.judgments == data.judgments.height - done.judgments.height
    require_valid(done)
    again, nothing = dedupe(done, scores=scores)
    assert nothing.judgments == sum(one.merged for one in nothing.found) == 0
    assert again.judgments.equals(done.judgments)


def test_the_row_with_the_highest_score_stays_whole() -> None:
    data = make([("mug", "A"), ("Mug", "a")], [(0, 0, 0.25), (1, 1, 1.0), (2, 0, 0.5)])
    done, report = dedupe(data)
    assert done.judgments.rows() == [("q0", "d01", 1.0, "1-1"), ("q2", "d01", 0.5, "2-0")]
    assert report.judgments == 1
    assert report.found[1].examples == (("d01", "d02"),)
    assert done.provenance.notes == (
        "dedupe: merged 3 of 6 queries (exact), 1 of 2 documents (exact), scores max",
    )


@given(
    count=st.integers(1, 30),
    pairs=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40),
)
@settings(max_examples=80, deadline=None)
def test_connected_components(count: int, pairs: list[tuple[int, int]]) -> None:
    edges = np.array([(a % count, b % count) for a, b in pairs], dtype=np.int64).reshape(-1, 2)
    order = np.random.default_rng(count).permutation(count)
    ids = pl.Series([f"{i:02d}" for i in order])
    stands = clusters_of_pairs(edges, ids)
    groups = [{i} for i in range(count)]
    for a, b in edges.tolist():
        if groups[a] is not groups[b]:
            groups[a] |= groups[b]
            for member in groups[b]:
                groups[member] = groups[a]
    assert stands.tolist() == [min(g, key=lambda i: ids[i]) for g in groups]


def test_a_long_chain_is_one_cluster() -> None:
    count = 2_000
    chain = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1)
    shuffled = np.random.default_rng(0).permutation(chain)
    ids = pl.Series([f"{i:05d}" for i in range(count)])
    assert (clusters_of_pairs(shuffled, ids) == 0).all()


def test_null_keys_stand_alone() -> None:
    keys = pl.Series([None, 3, None, 3, 4])
    assert clusters_of_keys(keys, pl.Series(["e", "d", "c", "b", "a"])).tolist() == [0, 3, 2, 3, 4]


def test_images_count_when_asked_for(tmp_path: Path) -> None:
    for name, content in (("a.png", b"1"), ("b.png", b"2"), ("c.png", b"1")):
        (tmp_path / name).write_bytes(content)
    data = RankingDataset(
        name="photos",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"), Field("photo", "image")),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": ["q"], "query": ["mug"]}),
        documents=pl.DataFrame(
            {
                "doc_id": ["d0", "d1", "d2", "d3", "d4", "d5"],
                "title": ["mug", "Mug", "mug", None, None, "mug"],
                "photo": ["a.png", "b.png", "c.png", "a.png", "c.png", None],
            }
        ),
        judgments=pl.DataFrame({"query_id": ["q"], "doc_id": ["d2"], "score": [1.0]}),
        root=tmp_path,
    )
    assert dedupe(data)[0].documents["doc_id"].to_list() == ["d0", "d3", "d4"]
    assert dedupe(data, images=True)[0].documents["doc_id"].to_list() == ["d0", "d1", "d3", "d5"]
    (tmp_path / "b.png").unlink()
    with pytest.raises(DataError, match=r"documents, row 1: the image b\.png cannot be read"):
        dedupe(data, images=True)


def test_as_a_group_nothing_goes_and_twins_stay_together() -> None:
    titles = [(f"mug {i // 2}", "A") for i in range(40)]
    data = make(titles, [(q, d, 1.0) for q in range(20) for d in range(40)], queries=20)
    grouped, report = group_duplicates(data, "same")
    assert report.found[0].merged == 20
    assert grouped.documents.drop("same").equals(data.documents)
    assert (grouped.documents["same"] <= grouped.documents["doc_id"]).all()
    done = split(grouped, group_documents_by="same", queries=0.6)
    sides = done.documents.group_by("title").agg(pl.col("seen").n_unique())
    assert (sides["seen"] == 1).all()
    with pytest.raises(DataError, match="have a column 'brand' already"):
        group_duplicates(data, "brand")


def test_a_split_data_set_is_refused() -> None:
    judged = [(q, d, 1.0) for q in range(20) for d in range(12)]
    data = make([(f"mug {i}", "A") for i in range(12)], judged, queries=20)
    with pytest.raises(SplitError, match=r"before `rankfield split`"):
        dedupe(split(data, queries=0.6))


def test_a_folder_gives_the_same(tmp_path: Path) -> None:
    titles = [(TITLES[i % 9], "a") for i in range(30)]
    data = make(titles, [(q, d, (q + d) / 40) for q in range(6) for d in range(30)])
    data.save(tmp_path / "in")
    dedupe(data)[0].save(tmp_path / "memory")
    dedupe(DatasetFolder.load(tmp_path / "in"))[0].save(tmp_path / "folder")
    for name in ("documents.parquet", "queries.parquet", "judgments.parquet", "dataset.toml"):
        assert (tmp_path / "memory" / name).read_bytes() == (
            tmp_path / "folder" / name
        ).read_bytes()
