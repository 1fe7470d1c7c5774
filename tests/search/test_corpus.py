"""Zero embeddings: documents that are never found, queries that find nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rankfield.search import Corpus, exact_search

RNG = np.random.default_rng(3)


def unit(rows: int, width: int = 8) -> npt.NDArray[np.float32]:
    vectors = RNG.normal(size=(rows, width))
    unit: npt.NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)


def test_without_zeros_it_is_the_exact_search_of_the_same_array() -> None:
    queries, documents = unit(5), unit(40)
    corpus = Corpus.of(documents)
    assert corpus.vectors is documents
    expected = exact_search(queries, documents, 7)
    found = corpus.search(queries, 7)
    assert (found.indices == expected.indices).all()
    assert (found.similarities == expected.similarities).all()


@pytest.mark.parametrize("k", [3, 40, 100])
def test_a_zero_document_is_found_by_none_not_even_before_negative_similarities(k: int) -> None:
    queries, documents = unit(6), unit(40)
    empty = [0, 7, 8, 39]
    documents[empty] = 0
    found = Corpus.of(documents).search(queries, k)
    assert found.indices.shape == (6, min(k, 40))
    similarities = (queries.astype(float) @ documents.T.astype(float)).round(12)
    for row, indices in enumerate(found.indices):
        order = [d for d in np.argsort(-similarities[row], kind="stable") if d not in empty][:k]
        assert indices[indices >= 0].tolist() == order
        assert (indices[len(order) :] == -1).all()
        assert np.isneginf(found.similarities[row, len(order) :]).all()
    assert (similarities < 0).any()


def test_a_zero_query_finds_nothing() -> None:
    queries, documents = unit(3), unit(5)
    queries[1] = 0
    found = Corpus.of(documents).search(queries, 2)
    assert (found.indices[1] == -1).all()
    assert (found.indices[[0, 2]] == exact_search(queries[[0, 2]], documents, 2).indices).all()


def test_nothing_to_search() -> None:
    for documents in (np.zeros((4, 8), np.float32), np.zeros((0, 8), np.float32)):
        found = Corpus.of(documents).search(unit(2), 3)
        assert found.indices.shape == (2, min(3, len(documents)))
        assert (found.indices == -1).all()


def test_a_memory_mapped_file(tmp_path: Path) -> None:
    documents = unit(30)
    documents[4] = 0
    np.save(tmp_path / "documents.npy", documents)
    mapped = np.load(tmp_path / "documents.npy", mmap_mode="r")
    found, expected = (Corpus.of(d).search(unit(1), 30).indices for d in (mapped, documents))
    assert 4 not in found
    assert sorted(found[0]) == sorted(expected[0])


@pytest.mark.parametrize("few", [0, 256])
@pytest.mark.parametrize("k", [1, 6, 60])
def test_some_of_the_documents(k: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankfield.search.corpus._AT_ONCE", 7)
    monkeypatch.setattr("rankfield.search.corpus._FEW", few)
    queries, documents = unit(4), unit(50)
    documents[[3, 20, 41]] = documents[9]  # ties across blocks keep the first
    documents[13] = 0
    among = RNG.random(50) < 0.6
    among[[3, 9, 13, 20, 41]] = True
    found = Corpus.of(documents).among(among).search(queries, k)
    rows = np.flatnonzero(among & (np.arange(50) != 13))
    expected = exact_search(queries, documents[rows], k)
    width = expected.indices.shape[1]
    assert (found.indices[:, :width] == rows[expected.indices]).all()
    assert (found.similarities[:, :width] == expected.similarities).all()
    assert (found.indices[:, width:] == -1).all()
    assert found.indices.shape == (4, min(k, 50))
