"""Near duplicates: planted ones are found, distinct ones left, whatever the order of rows."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from rankfield.curation import NearRule, Shingles, dedupe, group_duplicates, make_criteria
from rankfield.curation.criteria import bucket_pairs
from rankfield.curation.near_clusters import Link, chained, near_clusters, near_duplicates_across
from rankfield.curation.near_images import ImageCriterion
from rankfield.curation.near_rules import WordsCriterion
from rankfield.curation.near_texts import TextCriterion, bands_for, jaccard
from rankfield.curation.near_vectors import VectorCriterion
from rankfield.curation.texts import normalised
from rankfield.errors import DataError, InputError, MissingExtraError
from rankfield.schema import Field, RankingDataset, ScoreScale

WORDS = ["red", "tan", "blue", "mug", "cup", "jug", "tea", "pot", "striped", "plain", "oak"]


def numbered(count: int) -> pl.Series:
    return pl.Series([f"d{i:05d}" for i in range(count)], dtype=pl.String)


def partition(stands: np.ndarray, ids: pl.Series) -> set[frozenset[str]]:
    groups: dict[int, set[str]] = {}
    for root, name in zip(stands.tolist(), ids, strict=True):
        groups.setdefault(root, set()).add(name)
    return {frozenset(group) for group in groups.values()}


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_miss_less_than_one_in_a_hundred(threshold: float) -> None:
    bands, rows = bands_for(threshold)
    assert bands * rows <= 128
    assert 1 - (1 - threshold**rows) ** bands >= 0.99


def test_planted_near_duplicates_are_found_and_others_are_not() -> None:
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=60)) for _ in range(600)]
    texts = [text.replace(" ", "") for text in texts]
    planted = []
    for i in range(300):
        cut = draw.randrange(2, 56)
        planted.append(texts[i][:cut] + "#" + texts[i][cut:])
    column = pl.Series(texts + planted)
    shingles = Shingles("characters", 4)
    alike = [jaccard(shingles.of(texts[i]), shingles.of(planted[i])) >= 0.8 for i in range(300)]
    assert sum(alike) > 250
    stands = near_clusters([TextCriterion(column, 0.8)], numbered(900))
    found = [bool(stands[600 + i] == i) for i in range(300)]
    # nothing but what is alike; of that at least the share that the bands promise
    assert all(a for a, f in zip(alike, found, strict=True) if f)
    assert sum(found) >= 0.99 * sum(alike)
    assert (stands[:600] == np.arange(600)).all()


titles = st.lists(
    st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), min_size=1, max_size=40
)


@given(texts=titles, shuffle=st.randoms(), link=st.sampled_from(["single", "complete"]))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_matter_and_every_merge_is_true(
    texts: list[str], shuffle: random.Random, link: Link
) -> None:
    ids = numbered(len(texts))
    order = list(range(len(texts)))
    shuffle.shuffle(order)
    first = near_clusters([TextCriterion(pl.Series(texts), 0.6)], ids, link=link)
    mixed = pl.Series([texts[i] for i in order], dtype=pl.String)
    second = near_clusters([TextCriterion(mixed, 0.6)], ids.gather(order), link=link)
    assert partition(first, ids) == partition(second, ids.gather(order))
    sets = {name: Shingles().of(text) for name, text in zip(ids, texts, strict=True)}
    for group in partition(first, ids):
        near = {
            frozenset(pair)
            for pair in combinations(sorted(group), 2)
            if jaccard(sets[pair[0]], sets[pair[1]]) >= 0.6
        }
        if link == "complete":
            assert len(near) == len(group) * (len(group) - 1) // 2
        else:  # connected by true pairs
            reached = {min(group)}
            while more := {m for p in near if p & reached for m in p} - reached:
                reached |= more
            assert reached == group


@given(
    keys=st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=25),
    some=st.sets(st.integers(0, 24)),
)
def test_each_pair_that_shares_a_key_comes_once(
    keys: Sequence[tuple[int, int, int]], some: set[int]
) -> None:
    rows = np.array(sorted(i for i in some if i < len(keys)), dtype=np.int64)
    bands = np.array(keys, dtype=np.uint64).T
    found = [
        tuple(sorted(pair))
        for pairs in bucket_pairs(bands, rows, lambda a, _: np.ones(len(a), dtype=bool))
        for pair in pairs.tolist()
    ]
    expected = [
        (a, b)
        for a, b in combinations(rows.tolist(), 2)
        if any(x == y for x, y in zip(keys[a], keys[b], strict=True))
    ]
    assert sorted(found) == expected


def test_chains_are_counted_and_complete_links_break_them() -> None:
    vectors = np.array([[np.cos(a), np.sin(a)] for a in (0.0, 0.3, 0.6, 2.0)])
    criterion = VectorCriterion(vectors, np.cos(0.4))
    single = near_clusters([criterion], numbered(4))
    assert single.tolist() == [0, 0, 0, 3]
    assert chained([criterion], single) == 1
    complete = near_clusters([criterion], numbered(4), link="complete")
    assert complete.tolist() == [0, 0, 2, 3]
    assert chained([criterion], complete) == 0


def test_embeddings_are_compared_exactly() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(5_000, 16))
    vectors[3_000:3_100] = 2 * vectors[:100] + 0.01 * draw.normal(size=(100, 16))
    vectors[4_999] = 0
    stands = near_clusters([VectorCriterion(vectors, 0.999)], numbered(5_000))
    assert (stands[3_000:3_100] == np.arange(100)).all()
    assert (stands != np.arange(5_000)).sum() == 100
    with pytest.raises(DataError, match=r"finite numbers"):
        VectorCriterion(np.array([[1.0], [np.nan]]), 0.9)
    with pytest.raises(DataError, match=r"a row for each record, found shape \(3,\)"):
        VectorCriterion(np.ones(3), 0.9)


def draw_scene(colour: str, seed: int, shift: int = 0) -> Image.Image:
    place = random.Random(seed)
    image = Image.new("RGB", (96, 96), "white")
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = place.randrange(60) + shift, place.randrange(60)
        pen.ellipse((x, y, x + place.randrange(12, 40), y + place.randrange(12, 40)), fill=colour)
    return image


@pytest.fixture
def photos(tmp_path: Path) -> RankingDataset:
    """A scene of each number, the same smaller and compressed, the same in another colour."""
    names: list[str | None] = []
    for seed in range(12):
        for kind, image in (
            ("a.png", draw_scene("firebrick", seed)),
            ("b.jpg", draw_scene("firebrick", seed).resize((70, 70))),
            ("c.png", draw_scene("navy", seed)),
        ):
            name = f"{seed:02d}{kind}"
            image.save(tmp_path / name, quality=60)
            names.append(name)
    (tmp_path / "broken.png").write_bytes(b"no image")
    names += ["broken.png", None]
    return RankingDataset(
        name="photos",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("photo", "image"), Field("title", "text")),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": ["q0", "q1"], "query": ["mugs red", "Red mug"]}),
        documents=pl.DataFrame(
            {
                "doc_id": numbered(len(names)),
                "photo": names,
                "title": [f"item number {i // 6}" for i in range(len(names))],
            }
        ),
        judgments=pl.DataFrame({"query_id": ["q0"], "doc_id": ["d00001"], "score": [1.0]}),
        root=tmp_path,
    )


def test_photos_scaled_and_compressed_are_found_other_colours_are_not(
    photos: RankingDataset,
) -> None:
    criterion = ImageCriterion.of(photos, "documents", "photo", 8)
    stands = near_clusters([criterion], photos.documents["doc_id"])
    assert [(int(s), i) for i, s in enumerate(stands.tolist()) if s != i] == [
        (3 * scene, 3 * scene + 1) for scene in range(12)
    ]
    assert criterion.unread == 1


@given(bits=st.integers(0, 16), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_no_hash_within_the_bits_is_missed(bits: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    hashes = draw.integers(0, 2**63, 40, dtype=np.uint64)
    for i in range(20, 40):
        for bit in draw.choice(64, draw.integers(0, 18), replace=False):
            hashes[i] = hashes[i - 20] ^ np.uint64(1 << int(bit)) if bit % 2 else hashes[i]
    colours = np.zeros((40, 192), dtype=np.uint8)
    criterion = ImageCriterion(hashes, colours, np.ones(40, dtype=bool), bits)
    found = {
        tuple(sorted(pair))
        for pairs in criterion.candidates(np.arange(40), lambda a, _: np.ones(len(a), dtype=bool))
        for pair in pairs.tolist()
    }
    close = {
        (a, b)
        for a, b in combinations(range(40), 2)
        if int(hashes[a] ^ hashes[b]).bit_count() <= bits
    }
    assert found == close


def test_rules_must_all_hold_and_queries_have_theirs(photos: RankingDataset) -> None:
    near = {
        "documents": make_criteria(
            photos, "documents", [NearRule("photo", 8), NearRule("title", 1.0)]
        ),
        "queries": make_criteria(photos, "queries", [NearRule("words")]),
    }
    done, report = dedupe(photos, near=near)
    assert done.documents.height == 38 - 12
    assert done.queries["query_id"].to_list() == ["q0"]
    assert done.judgments.rows() == [("q0", "d00000", 1.0)]
    assert report.found[0].how == "same words in the text"
    assert report.found[1].how == (
        "title ≥ 1 (Jaccard of characters:4) and photo ≤ 8 bits (perceptual hash)"
    )
    assert (report.found[1].largest, report.found[1].clusters) == (2, 12)
    grouped, _ = group_duplicates(photos, "same", near=near["documents"])
    assert grouped.documents.height == 38
    assert grouped.documents["same"].n_unique() == 26


def test_twins_across_sides() -> None:
    texts = normalised(pl.Series(["red mug", "red mugs", "tan jug", "Red mug", "oak", "oaks", ""]))
    seen = np.array([True, False, False, False, False, False, True])
    looked = ~seen & np.array([True, True, True, True, False, True, True])
    pairs = near_duplicates_across([TextCriterion(texts, 0.5)], seen, looked)
    assert pairs.tolist() == [[0, 1], [0, 3]]
    assert near_duplicates_across([WordsCriterion(texts)], seen, looked).tolist() == [
        [0, 1],
        [0, 3],
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("text", "expected NAME=LIMIT"),
        ("text=much", "expected NAME=LIMIT"),
        ("text=0", "above 0 and at most 1"),
        ("photo=2.5", "number of bits"),
        ("photo=17", "0 to 16 bits"),
        ("prize=1", "text, words, embedding, photo, title, found 'prize'"),
        ("embedding=0.9", "needs embeddings"),
    ],
)
def test_rules_that_make_no_sense(photos: RankingDataset, rule: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_criteria(photos, "documents", [NearRule.parse(rule)])


def test_shingles() -> None:
    assert Shingles.parse("words:2").of("a b c") == {"a b", "b c"}
    assert Shingles.parse("characters:4").of("abc") == {"abc"}
    assert Shingles().of("") == frozenset()
    for text in ("words", "words:0", "lines:2", "words:x"):
        with pytest.raises(InputError, match="expected words:N or characters:N"):
            Shingles.parse(text)


def test_both_packages_are_an_extra(
    photos: RankingDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, rule in (("datasketch", "text=0.8"), ("imagehash", "photo=6")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match=r"pip install 'rankfield\[dedupe\]'"):
            make_criteria(photos, "documents", [NearRule.parse(rule)])
    with pytest.raises(InputError, match="expected 38 embeddings"):
        make_criteria(photos, "documents", [], embeddings=np.ones((3, 2)))
