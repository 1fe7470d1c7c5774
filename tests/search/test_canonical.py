"""The result depends on the embeddings alone, and is that of exact arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.search import Hits, exact_search
from rankfield.search.order import NOTHING, packed, sort_rows, unpacked
from rankfield.search.screening import Screen, chosen_dtype, tile_of
from rankfield.search.similarity import embeddings_of, pair_similarities

SMALL_TILES = {"cpu": 24}


def reference(queries: np.ndarray, documents: np.ndarray, k: int) -> Hits:
    """Exact sums of exact products, rounded; then a stable sort."""
    scores = np.array(
        [
            [math.fsum(a * b for a, b in zip(q, d, strict=True)) for d in documents.tolist()]
            for q in queries.tolist()
        ],
        dtype=np.float64,
    ).reshape(len(queries), len(documents))
    scores32 = scores.astype(np.float32)
    order = np.argsort(-scores32, axis=1, kind="stable")[:, :k]
    return Hits(order, np.take_along_axis(scores32, order, axis=1))


def assert_same(found: Hits, expected: Hits) -> None:
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.similarities, expected.similarities)


def embeddings(rng: np.random.Generator, rows: int, width: int, kind: str) -> np.ndarray:
    """Embeddings of several natures, with duplicates among them."""
    made = rng.normal(size=(rows, width)).astype(np.float32)
    if kind == "unit":
        made /= np.linalg.norm(made, axis=1, keepdims=True) + 1e-9
    elif kind == "lengths":
        made *= (10.0 ** rng.uniform(-12, 12, (rows, 1))).astype(np.float32)
    elif kind == "alike":  # similarities that differ in the last bits only
        made = (made[:1] + 1e-6 * made).astype(np.float32)
    elif kind == "tiny":  # products underflow in float32, elements in bfloat16
        made *= np.float32(1e-39)
    made[rng.integers(0, rows, rows // 4)] = made[0]
    return made


@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["normal", "unit", "lengths", "alike", "tiny"]),
    queries=st.integers(1, 5),
    documents=st.integers(1, 130),
    width=st.integers(1, 40),
    k=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_equals_exact_arithmetic_in_every_precision(
    seed: int, kind: str, *, queries: int, documents: int, width: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    left = embeddings(rng, queries, width, kind)
    right = embeddings(rng, documents, width, kind)
    expected = reference(left, right, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rankfield.search.tiling._LARGEST", SMALL_TILES)
        for precision in ("float32", "bfloat16"):
            assert_same(exact_search(left, right, k, precision=precision), expected)


@pytest.fixture(scope="module")
def corpus() -> tuple[np.ndarray, np.ndarray]:
    """Enough documents for the thresholds to be guessed, similar ones side by side."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(8, 24))
    right = np.repeat(centres, 500, axis=0) + rng.normal(size=(4000, 24))
    left = np.repeat(centres, 5, axis=0) + rng.normal(size=(40, 24))
    return left.astype(np.float32), right.astype(np.float32)


@pytest.mark.parametrize("k", [1, 30, 200, 3999, 4000])
def test_memory_threads_and_precision_change_nothing(
    corpus: tuple[np.ndarray, np.ndarray], k: int
) -> None:
    left, right = corpus
    scores = (left.astype(np.float64) @ right.T.astype(np.float64)).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    threads = torch.get_num_threads()
    try:
        for memory, count, precision in (
            (256, 1, "float32"),
            (1, 1, "bfloat16"),
            (256, 3, "bfloat16"),
            (2, 2, "auto"),
        ):
            torch.set_num_threads(count)
            hits = exact_search(left, right, k, memory_mib=memory, precision=precision)
            np.testing.assert_array_equal(hits.indices, order)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)


def test_a_guess_that_is_too_high_is_made_good(
    corpus: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = corpus
    expected = exact_search(left, right, 50)

    def too_high(scan: object) -> torch.Tensor:
        return torch.from_numpy(expected.similarities[:, 10] + np.arange(40) % 2 * 100)

    monkeypatch.setattr("rankfield.search.exact.guessed_thresholds", too_high)
    assert_same(exact_search(left, right, 50), expected)


def test_float16_documents_tensors_and_maps(
    corpus: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    left, right = corpus[0], corpus[1].astype(np.float16)
    expected = exact_search(left, right.astype(np.float32), 20)
    np.save(tmp_path / "documents.npy", right)
    mapped = np.load(tmp_path / "documents.npy", mmap_mode="r")
    for documents in (right, mapped, torch.from_numpy(right), right[:, ::-1][:, ::-1]):
        assert_same(exact_search(torch.from_numpy(left), documents, 20), expected)


def test_nothing_to_search() -> None:
    none = np.zeros((0, 3), np.float32)
    assert exact_search(none, np.ones((4, 3), np.float32), 2).indices.shape == (0, 2)
    assert exact_search(np.ones((4, 3), np.float32), none, 2).indices.shape == (4, 0)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=30))
@settings(deadline=None)
def test_keys_ascend_in_the_canonical_order(scores: list[float]) -> None:
    values = torch.tensor(scores, dtype=torch.float32)
    rows = torch.arange(len(scores)) * 100_000_000
    keys = packed(values, rows)
    order = torch.argsort(values, descending=True, stable=True)
    found, places = unpacked(sort_rows(keys[None], len(scores))[0])
    torch.testing.assert_close(found, values[order], rtol=0, atol=0)
    torch.testing.assert_close(places, rows[order])
    assert bool((keys < NOTHING).all())


def test_an_empty_place_is_behind_everything() -> None:
    scores, rows = unpacked(torch.tensor([NOTHING]))
    assert scores.tolist() == [-math.inf]
    assert rows.tolist() == [-1]


@given(seed=st.integers(0, 10_000), width=st.integers(1, 300), scale=st.integers(-12, 12))
@settings(max_examples=60, deadline=None)
def test_the_bound_of_the_screen_holds(seed: int, width: int, scale: int) -> None:
    """A document at the threshold always passes; one far below it does not."""
    rng = np.random.default_rng(seed)
    left = torch.from_numpy(
        rng.normal(size=(3, width)).astype(np.float32) * np.float32(10.0**scale)
    )
    right = torch.from_numpy(rng.normal(size=(20, width)).astype(np.float32))
    exact = left.double() @ right.double().T
    for dtype in (torch.float32, torch.bfloat16):
        screen, tile = Screen(tile_of(left, dtype)), tile_of(right, dtype)
        products = screen.products(slice(None), tile, torch.empty(3, 20, dtype=dtype))
        for document in range(20):
            threshold = exact[:, document].float()
            assert bool((products[:, document] >= screen.cutoffs(threshold, tile)).all())
        assert bool((screen.cutoffs(torch.full((3,), -torch.inf), tile) == -torch.inf).all())
        far = exact.float().max(1).values + left.norm(dim=1) * right.norm(dim=1).max()
        assert not bool((products >= screen.cutoffs(far, tile)[:, None]).any())


def test_sums_that_could_round_either_way_are_exact() -> None:
    # 1 + 2⁻²⁴ lies half way between two float32; a term of 2⁻⁸⁰ decides, which float64 loses.
    queries = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])
    document = torch.tensor([[1.0, 2.0**-24, 2.0**-50]])
    left, right = (embeddings_of(x, x.norm(dim=1)) for x in (queries, document))
    found = pair_similarities(left, right, torch.tensor([0, 1, 2]), torch.tensor([0, 0]))
    assert found.tolist() == [1 + 2.0**-23, 1.0]


def test_refuses_lengths_that_would_overflow_and_unknown_precisions() -> None:
    with pytest.raises(DataError, match="length above"):
        exact_search(np.ones((1, 2), np.float32), np.array([[1, 1], [1e30, 1]], np.float32), 1)
    with pytest.raises(DataError, match="precision"):
        exact_search(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), 1, precision="int8")


def test_the_first_bad_row_is_named_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankfield.search.tiling._LARGEST", SMALL_TILES)
    right = np.ones((2000, 4), np.float32)
    right[[517, 530, 1999]] = np.nan
    with pytest.raises(DataError, match="document row 517"):
        exact_search(np.ones((3, 4), np.float32), right, 2)


def test_auto_multiplies_in_one_of_both() -> None:
    assert chosen_dtype("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)
    assert chosen_dtype("float32", torch.device("cpu")) == torch.float32


def test_letting_go_of_a_mapped_file_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankfield.search.scan._RELEASE_EVERY", 1)
    monkeypatch.setattr("rankfield.search.tiling._LARGEST", SMALL_TILES)
    right = np.random.default_rng(6).normal(size=(300, 4)).astype(np.float32)
    np.save(tmp_path / "documents.npy", right)
    for mode in ("r", "r+", "c"):
        mapped = np.load(tmp_path / "documents.npy", mmap_mode=mode)
        if mode != "r":
            mapped[7] = right[7] = 9.0  # of the copy-on-write map, a change the file never gets
        assert_same(
            exact_search(right[:5], mapped[:200], 6), exact_search(right[:5], right[:200], 6)
        )


def test_the_program_keeps_its_own_precision() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        left, right = np.random.default_rng(7).normal(size=(2, 600, 64)).astype(np.float32)
        found = exact_search(left, right, 20, precision="float32")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert_same(found, exact_search(left, right, 20, precision="float32"))
