"""What an index does with what a store proposes, loses or keeps too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from indexed_documents import DOCUMENTS, METADATA, VECTORS, N, chunks, documents_of, vectors_of
from rankfield.errors import InputError
from rankfield.files import open_regular, refuse_others
from rankfield.index import ExactIndex, IndexMetadata, candidates
from rankfield.index.base import Vectors
from rankfield.index.candidates import CandidateIndex, Candidates, Keys
from rankfield.index.recall import measured_recall

QUERIES = vectors_of(20)


class Store:
    """Vectors in a dictionary, the nearest found by a loop; `kept` says which it finds at all."""

    def __init__(self) -> None:
        self.rows: dict[int, Vectors] = {}
        self.kept: Callable[[int], bool] = lambda key: True
        self.asked: list[int] = []
        self.broken = False

    def add(self, keys: Keys, vectors: Vectors) -> None:
        self._works()
        self.rows |= dict(zip(keys.tolist(), vectors, strict=True))

    def remove(self, keys: Keys) -> None:
        self._works()
        for key in keys.tolist():
            self.rows.pop(key, None)

    def count(self, first: int, last: int) -> int:
        return sum(first <= key < last for key in self.rows)

    def nearest(self, vector: Vectors, count: int) -> Keys:
        self.asked.append(count)
        known = [key for key in self.rows if self.kept(key)]
        best = sorted(known, key=lambda key: -float(self.rows[key] @ vector))
        return np.array(best[:count], dtype=np.int64)

    def finish(self) -> None:
        pass

    def drop(self) -> None:
        self.rows.clear()

    def _works(self) -> None:
        if self.broken:
            raise InputError("the store is gone")


class Indexed(CandidateIndex):
    name: ClassVar[str] = "dictionary"
    stores: ClassVar[dict[str, Store]] = {}
    unreachable: ClassVar[bool] = False

    @classmethod
    def check_store(cls, metadata: IndexMetadata) -> None:
        pass

    @classmethod
    def open_store(cls, folder: Path, metadata: IndexMetadata) -> Candidates:
        if cls.unreachable:
            raise InputError("the store cannot be reached")
        return cls.stores.setdefault(str(folder), Store())


@pytest.fixture(autouse=True)
def _every_document_is_not_few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(candidates, "_EXACT", 0)
    yield
    Indexed.stores.clear()


@pytest.fixture
def index(tmp_path: Path) -> Indexed:
    built = Indexed.build(tmp_path / "index", METADATA, DOCUMENTS, chunks)
    assert isinstance(built, Indexed)
    return built


@pytest.fixture
def exact(tmp_path: Path) -> ExactIndex:
    return ExactIndex.build(tmp_path / "exact", METADATA, DOCUMENTS, chunks)


def store_of(index: Indexed) -> Store:
    return Indexed.stores[str(index.folder)]


def test_the_store_is_asked_for_more_under_a_filter(index: Indexed, exact: ExactIndex) -> None:
    store = store_of(index)
    assert index.search(QUERIES, 2).equals(exact.search(QUERIES, 2))
    assert store.asked == [2 * METADATA.oversample] * len(QUERIES)
    store.asked.clear()
    half = set(DOCUMENTS["doc_id"][::2])
    assert index.search(QUERIES, 2, half).equals(exact.search(QUERIES, 2, half))
    assert store.asked == [2 * METADATA.oversample * 2] * len(QUERIES)
    store.asked.clear()
    assert index.search(QUERIES, 2, exact=True).equals(exact.search(QUERIES, 2))
    assert not store.asked


def test_what_a_store_misses_is_missing_and_the_rest_is_as_it_should_be(
    index: Indexed, exact: ExactIndex
) -> None:
    store_of(index).kept = lambda key: key % 2 == 0
    found, half = index.search(QUERIES, 5), set(DOCUMENTS["doc_id"][::2])
    assert found.equals(exact.search(QUERIES, 5, half))
    recall = measured_recall(index, QUERIES, shares=(1.0, 0.5))
    assert 0.2 < recall[1.0] < 0.8
    assert measured_recall(exact, QUERIES) == dict.fromkeys((1.0, 0.5, 0.1, 0.01, 0.001), 1.0)


def test_where_a_store_proposes_too_few_all_documents_are_looked_at(
    index: Indexed, exact: ExactIndex
) -> None:
    store_of(index).kept = lambda key: key < 3
    assert index.search(QUERIES, 5).equals(exact.search(QUERIES, 5))
    store_of(index).kept = lambda key: False
    some = {"d01", "d02"}
    assert index.search(QUERIES, 5, some).equals(exact.search(QUERIES, 5, some))


def test_keys_of_rows_that_are_not_there_are_passed_over(index: Indexed, exact: ExactIndex) -> None:
    store = store_of(index)
    strange = np.array([N, N + 5, 7 * 2**32, -1], dtype=np.int64)
    store.add(strange, np.repeat(QUERIES[:1], 4, axis=0))
    assert index.search(QUERIES, 5).equals(exact.search(QUERIES, 5))


def test_what_a_store_lost_or_kept_is_put_right_when_the_index_is_opened(index: Indexed) -> None:
    index.delete(["d03"])
    index.upsert(documents_of(["new", "d05"]), vectors_of(2))
    expected = index.search(QUERIES, 7)
    store = store_of(index)
    held = dict(store.rows)
    assert len(held) == N
    del store.rows[8], store.rows[9]
    store.rows[3] = VECTORS[3]
    again = Indexed.open(index.folder)
    assert store.rows.keys() == held.keys()
    assert again.search(QUERIES, 7).equals(expected)
    store.rows.clear()
    assert Indexed.open(index.folder).search(QUERIES, 7).equals(expected)
    assert store.rows.keys() == held.keys()


def test_while_another_process_writes_a_store_that_lags_is_not_asked(index: Indexed) -> None:
    import os

    expected = index.search(QUERIES, 7)
    store = store_of(index)
    store.rows.clear()
    lock = open_regular(str(index.folder / "lock"), os.O_RDWR | os.O_CREAT)
    try:
        refuse_others(lock, index.folder)
        lagging = Indexed.open(index.folder)
    finally:
        os.close(lock)
    store.asked.clear()
    assert lagging.search(QUERIES, 7).equals(expected)
    assert not store.asked
    assert not store.rows


def test_a_write_that_the_store_refuses_is_refused(index: Indexed) -> None:
    before = index.search(QUERIES, 7)
    store_of(index).broken = True
    with pytest.raises(InputError, match="the store is gone"):
        index.upsert(documents_of(["new"]), QUERIES[:1])
    assert index.search(QUERIES, 7).equals(before)
    # A removal is acknowledged all the same: what the store keeps is never shown.
    assert index.delete(["d03"]) == 1
    assert "d03" not in set(index.search(QUERIES, N)["doc_id"])
    assert 3 in store_of(index).rows


def test_a_store_that_cannot_be_opened_damages_nothing(
    index: Indexed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index.upsert(documents_of(["new"]), QUERIES[:1])
    files = {path.name: path.read_bytes() for path in index.folder.iterdir()}
    monkeypatch.setattr(Indexed, "unreachable", True)
    with pytest.raises(InputError, match="the store cannot be reached"):
        Indexed.open(index.folder)
    assert {path.name: path.read_bytes() for path in index.folder.iterdir()} == files
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Indexed, "unreachable", False)
    assert "new" in set(Indexed.open(index.folder).documents()["doc_id"])


def test_building_again_replaces_what_the_store_holds(index: Indexed) -> None:
    def fewer(_: int) -> Iterator[tuple[int, Vectors]]:
        yield 0, VECTORS[:16]

    Indexed.build(index.folder, METADATA, DOCUMENTS.head(16), fewer, overwrite=True)
    assert store_of(index).rows.keys() == set(range(16))
