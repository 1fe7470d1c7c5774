from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.search import Corpus, Hits, exact_search, rank_scores


def naive(scores: np.ndarray, k: int) -> np.ndarray:
    """Order by score descending, then by row: a stable sort of the negated scores."""
    order: np.ndarray = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order


@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(1, 7),
    documents=st.integers(1, 60),
    k=st.integers(1, 70),
    values=st.integers(1, 3),
)
@settings(max_examples=150, deadline=None)
def test_equals_a_stable_sort_with_ties(
    seed: int, queries: int, documents: int, k: int, values: int
) -> None:
    rng = np.random.default_rng(seed)
    # Small whole numbers: their inner products are exact, so equal ones tie to the bit.
    left = rng.integers(-values, values + 1, (queries, 3)).astype(np.float32)
    right = rng.integers(-values, values + 1, (documents, 3)).astype(np.float32)
    scores = left @ right.T
    hits = exact_search(left, right, k)
    order = naive(scores, k)
    np.testing.assert_array_equal(hits.indices, order)
    np.testing.assert_array_equal(hits.similarities, np.take_along_axis(scores, order, axis=1))
    equal = (np.diff(hits.similarities, axis=1) == 0).any(axis=1)
    assert hits.ties == equal.sum()


@pytest.mark.parametrize("k", [1, 10, 40])
def test_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    monkeypatch.setattr("rankfield.search.tiling._LARGEST", {"cpu": 13})
    rng = np.random.default_rng(1)
    left = rng.integers(-2, 3, (30, 4)).astype(np.float32)
    right = rng.integers(-2, 3, (200, 4)).astype(np.float32)
    hits = exact_search(left, right, k, memory_mib=1)
    np.testing.assert_array_equal(hits.indices, naive(left @ right.T, k))


def test_a_read_only_memory_map(tmp_path: Path) -> None:
    right = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float32)
    np.save(tmp_path / "documents.npy", right)
    mapped = np.load(tmp_path / "documents.npy", mmap_mode="r")
    hits = exact_search(right[:20], mapped, 5)
    np.testing.assert_array_equal(hits.indices, naive(right[:20] @ right.T, 5))
    assert hits.indices.dtype == np.int64
    assert hits.similarities.dtype == np.float32


def test_equal_documents_come_in_the_order_of_rows() -> None:
    hits = exact_search(np.ones((1, 2), np.float32), np.ones((1000, 2), np.float32), 10)
    np.testing.assert_array_equal(hits.indices, [np.arange(10)])
    assert hits.ties == 1


def test_the_order_of_ties_is_documented_and_repeats() -> None:
    assert "documents of equal similarity are ordered by row" in (exact_search.__doc__ or "")
    rng = np.random.default_rng(3)
    left = rng.integers(-1, 2, (50, 2)).astype(np.float32)
    right = rng.integers(-1, 2, (900, 2)).astype(np.float32)
    once, again = exact_search(left, right, 20), exact_search(left, right, 20, memory_mib=1)
    np.testing.assert_array_equal(once.indices, again.indices)
    assert once.ties == again.ties == 50


def test_fewer_documents_than_k() -> None:
    hits = exact_search(np.ones((2, 2), np.float32), np.eye(2, dtype=np.float32), 10)
    assert hits.indices.shape == (2, 2)


def test_minus_infinity_is_not_retrieved() -> None:
    scores = np.array([[-np.inf, 1, 0], [-np.inf, -np.inf, -np.inf]], dtype=np.float32)
    hits = rank_scores(scores, 3)
    np.testing.assert_array_equal(hits.indices, [[1, 2, -1], [-1, -1, -1]])
    assert hits.ties == 0


def test_ties_of_a_single_hit() -> None:
    assert Hits(np.zeros((3, 1), np.int64), np.zeros((3, 1), np.float32)).ties == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("side", ["query", "document"])
def test_refuses_embeddings_that_are_not_finite(bad: float, side: str) -> None:
    left, right = np.ones((4, 2), np.float32), np.ones((6, 2), np.float32)
    (left if side == "query" else right)[3, 1] = bad
    with pytest.raises(DataError, match=f"embedding of {side} row 3"):
        exact_search(left, right, 2)


@pytest.mark.parametrize(
    ("text", "found"),
    [("red mug", "str"), ([[1.0, 2.0]], "list"), (np.array([["a", "b"]]), "an array of <U1")],
)
def test_what_is_not_encoded_is_refused(text: Any, found: str) -> None:
    vectors = np.ones((2, 2), np.float32)
    for search in (
        lambda: exact_search(text, vectors, 1),
        lambda: exact_search(vectors, text, 1),
        lambda: Corpus.of(vectors).search(text, 1),
        lambda: Corpus.of(text),
    ):
        with pytest.raises(DataError, match=f"expected vectors, found {found}. Encode first"):
            search()


def test_refuses_other_widths_and_k() -> None:
    with pytest.raises(DataError, match="one width"):
        exact_search(np.ones((1, 2), np.float32), np.ones((1, 3), np.float32), 1)
    with pytest.raises(DataError, match="k of at least 1"):
        exact_search(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), 0)
