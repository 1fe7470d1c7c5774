"""A corpus that is prepared once: it finds what exact search finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.errors import DataError, InputError
from rankfield.search import Corpus, Hits, ResidentCorpus, SearchOptions, integer_products, resident
from rankfield.search.first_pass import check_first_pass, first_pass

PROVEN = ["none", "int8"]


@pytest.fixture(autouse=True)
def _nothing_is_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "_FEW", 0)


def clustered(seed: int, rows: int, width: int) -> npt.NDArray[np.float32]:
    """Return vectors in clusters, with duplicates, zeros and lengths other than 1."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, width))
    vectors = centres[rng.integers(0, 5, rows)] + rng.normal(size=(rows, width)) * 0.2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors *= rng.choice([1, 1, 1, 3, 1e-3], size=(rows, 1))
    vectors[rng.random(rows) < 0.05] = 0
    vectors[rng.integers(0, rows, rows // 8)] = vectors[rng.integers(0, rows)]
    return vectors.astype(np.float32)


def unit(seed: int, rows: int, width: int) -> npt.NDArray[np.float32]:
    """Return different vectors in clusters, all of length 1."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(5, width))[rng.integers(0, 5, rows)]
    vectors += rng.normal(size=(rows, width)) * 0.4
    found: npt.NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found.astype(np.float32)


def same(found: Hits, expected: Hits) -> None:
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.similarities, expected.similarities)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    rows=st.integers(1, 300),
    width=st.integers(1, 70),
    k=st.integers(1, 40),
    share=st.sampled_from([1.0, 0.5, 0.05, 0.0]),
    name=st.sampled_from(PROVEN),
    half=st.booleans(),
)
def test_a_proven_first_pass_finds_what_exact_search_finds(  # noqa: PLR0917
    seed: int, rows: int, width: int, k: int, share: float, name: str, half: bool
) -> None:
    vectors: npt.NDArray[np.floating] = clustered(seed, rows, width)
    if half:
        vectors = vectors.astype(np.float16)
    rng = np.random.default_rng(seed)
    near = vectors[rng.integers(0, rows, 3)].astype(np.float32)
    queries = np.concatenate([near, clustered(seed + 1, 4, width)])
    chosen = rng.random(rows) < share
    corpus = Corpus.of(vectors)
    same(
        ResidentCorpus.of(corpus, name).search(queries, k, None, chosen),
        corpus.among(chosen).search(queries, k),
    )


@pytest.mark.parametrize("name", PROVEN)
def test_the_error_is_within_what_is_proven(name: str) -> None:
    documents, queries = clustered(1, 400, 48), clustered(2, 30, 48)
    longest = float(np.linalg.norm(documents.astype(float), axis=1).max())
    look = first_pass(name, documents, longest).look(torch.from_numpy(queries), None)
    assert look.error is not None
    exact = torch.from_numpy(queries).double() @ torch.from_numpy(documents).double().T
    off = (look.scores.double() - exact).abs()
    assert (off <= look.error.double()).all()
    # and it is worth something: far below the spread of the similarities
    assert look.error.median() < 0.05 * exact.std()


def test_products_of_codes_are_exact_with_and_without_instructions_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    for rows, width, columns in ((1, 1, 1), (5, 1, 3), (1, 70, 2), (300, 129, 7), (9, 1041, 2)):
        codes = rng.integers(-127, 128, (rows, width)).astype(np.int8)
        codes[0] = 127
        asked = rng.integers(-127, 128, (columns, width)).astype(np.int8)
        asked[0] = 127
        expected = (codes.astype(np.int64) @ asked.T.astype(np.int64)).astype(np.float32)
        for instructions in (integer_products._instructions(), False):
            monkeypatch.setattr(integer_products, "_instructions", lambda found=instructions: found)
            found = integer_products.integer_products(
                torch.from_numpy(codes), torch.from_numpy(asked).T
            )
            np.testing.assert_array_equal(found.numpy(), expected)
        monkeypatch.undo()


@pytest.mark.parametrize("name", PROVEN)
def test_few_documents_are_left_to_be_computed(name: str) -> None:
    documents = unit(3, 4000, 64)
    corpus = ResidentCorpus.of(Corpus.of(documents), name)
    (found,) = corpus._found(torch.from_numpy(documents[:1]), 10, corpus.corpus)
    assert 10 <= len(found) < 100


@pytest.mark.parametrize("name", ["binary", "dimensions:32"])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.05])
def test_an_unproven_first_pass_misses_some_and_ranks_the_others_exactly(
    name: str, share: float
) -> None:
    rng = np.random.default_rng(4)
    documents = unit(5, 3000, 64)
    queries = documents[rng.integers(0, 3000, 100)] + 0.2 * unit(6, 100, 64)
    chosen = rng.random(len(documents)) < share
    corpus = Corpus.of(documents)
    exact = corpus.among(chosen).search(queries, len(documents))
    found = ResidentCorpus.of(corpus, name, 8).search(queries, 10, None, chosen)
    everything = ResidentCorpus.of(corpus, name, 4000).search(queries, 10, None, chosen)
    same(everything, corpus.among(chosen).search(queries, 10))
    overlap = []
    for row, (indices, similarities) in enumerate(
        zip(found.indices, found.similarities, strict=True)
    ):
        hits = indices[indices >= 0]
        assert set(hits) <= set(np.flatnonzero(chosen))
        known = dict(zip(exact.indices[row], exact.similarities[row], strict=True))
        assert [known[i] for i in hits] == similarities[: len(hits)].tolist()
        order = [i for i in exact.indices[row] if i in set(hits)]
        assert hits.tolist() == order
        overlap.append(np.isin(exact.indices[row, :10], hits).mean())
    assert np.mean(overlap) > 0.3


def test_many_queries_find_the_same_as_few() -> None:
    documents, queries = clustered(7, 500, 16), clustered(8, 150, 16)
    for name in (*PROVEN, "binary"):
        corpus = ResidentCorpus.of(Corpus.of(documents), name)
        found = corpus.search(queries, 5)
        one = [corpus.search(queries[i : i + 1], 5) for i in range(len(queries))]
        same(found, Hits(np.concatenate([o.indices for o in one]),
                         np.concatenate([o.similarities for o in one])))  # fmt: skip
        same(corpus.search(queries, 5, SearchOptions(memory_mib=1)), found)


def test_a_memory_mapped_file_is_read_as_it_is(tmp_path: Path) -> None:
    documents = clustered(9, 200, 24)
    np.save(tmp_path / "vectors.npy", documents)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    queries = clustered(10, 3, 24)
    for name in PROVEN:
        found = ResidentCorpus.of(Corpus.of(mapped), name).search(queries, 7)
        same(found, Corpus.of(documents).search(queries, 7))


def test_nothing_to_search_and_bad_input() -> None:
    for documents in (np.zeros((4, 8), np.float32), np.zeros((0, 8), np.float32)):
        for name in (*PROVEN, "binary", "dimensions:4"):
            found = ResidentCorpus.of(Corpus.of(documents), name).search(clustered(1, 2, 8), 3)
            assert found.indices.shape == (2, min(3, len(documents)))
            assert (found.indices == -1).all()
    bad = clustered(1, 9, 8)
    corpus = ResidentCorpus.of(Corpus.of(bad.copy()))
    bad[4, 2] = np.nan
    with pytest.raises(DataError, match="document row 4"):
        ResidentCorpus.of(Corpus.of(bad))
    with pytest.raises(DataError, match="query row 4"):
        corpus.search(bad, 2)
    for wrong in ("float", "dimensions:8", "dimensions:0", "dimensions:4x", "int8\n"):
        with pytest.raises(InputError, match=r"expected none, int8, binary or dimensions:N with N"):
            check_first_pass(wrong, 8)
