"""Work of several requests in one call, its errors apart; vectors that are kept."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from queried_index import DOCUMENTS, embed, model, queried_index
from rankfield.query import Searcher
from rankfield.serving.batch_thread import BatchThread, Lane
from rankfield.serving.gathered_index import gathered
from rankfield.serving.vector_cache import VectorCache


def test_what_comes_while_the_thread_is_busy_is_done_together() -> None:
    calls: list[list[int]] = []
    going, free = threading.Event(), threading.Event()

    def handle(items: list[int]) -> list[int]:
        going.set()
        free.wait(20)
        calls.append(list(items))
        return [-one for one in items]

    with BatchThread() as thread:
        lane = Lane(handle, most=4)
        first = thread.submit(lane, [0])
        assert going.wait(20)
        others = [thread.submit(lane, [i, i]) for i in (1, 2, 3)]
        large = thread.submit(lane, list(range(10)))
        free.set()
        assert first.result(20) == [0]
        assert [one.result(20) for one in others] == [[-1, -1], [-2, -2], [-3, -3]]
        assert large.result(20) == [-i for i in range(10)]
    assert calls == [[0], [1, 1, 2, 2], [3, 3], list(range(10))]


def test_an_idle_thread_waits_for_requests_that_may_join() -> None:
    calls: list[list[int]] = []

    def handle(items: list[int]) -> list[int]:
        calls.append(list(items))
        return items

    with BatchThread(delay=20.0) as thread:
        lane = Lane(handle)
        with thread.request():
            assert thread.call(lane, [1]) == [1]  # alone: nothing could join
            with thread.request():
                early = thread.submit(lane, [2])
                time.sleep(0.05)
                assert not early.done()
                assert thread.call(lane, [3]) == [3]
            assert early.result(20) == [2]
            with thread.request():
                late = thread.submit(lane, [4])
            assert late.result(20) == [4]  # the other one has ended
    assert calls == [[1], [2, 3], [4]]


def test_an_error_is_that_of_its_own_items() -> None:
    going, free = threading.Event(), threading.Event()

    def handle(items: list[int]) -> list[int]:
        going.set()
        free.wait(20)
        if 2 in items:
            raise ValueError("two")
        return items

    thread = BatchThread()
    lane = Lane(handle)
    thread.submit(lane, [0])
    assert going.wait(20)
    futures = [thread.submit(lane, [i]) for i in (1, 2, 3)]
    futures[2].cancel()
    free.set()
    assert futures[0].result(20) == [1]
    with pytest.raises(ValueError, match="two"):
        futures[1].result(20)
    last = thread.submit(lane, [5])
    thread.close()
    assert last.result(0) == [5]
    with pytest.raises(RuntimeError):
        thread.submit(lane, [6])


def test_searches_together_are_those_alone(tmp_path: Path) -> None:
    index = queried_index("exact", tmp_path / "index")
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(48, 8)).astype(np.float32)
    vectors[5] = 0
    counts = [int(k) for k in rng.integers(1, 70, 48)]
    with BatchThread(delay=0.5) as thread:
        shared = gathered(index, thread).frozen()
        found = {}

        def search(row: int) -> None:
            with thread.request():
                found[row] = shared.search(vectors[row : row + 1], counts[row])

        threads = [threading.Thread(target=search, args=(row,)) for row in range(48)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert thread.items == 48 > thread.batches
        some = shared.search(vectors[:1], 5, {"d01", "d02"})
        assert set(some["doc_id"]) == {"d01", "d02"}
    for row, frame in found.items():
        assert frame.equals(index.search(vectors[row : row + 1], counts[row]))


def test_a_searcher_over_a_shared_index_answers_the_same(tmp_path: Path) -> None:
    index, tiny = queried_index("exact", tmp_path / "index"), model()
    query = {
        "query": ["red mug", {"like": "d03"}], "filter": "price > 1", "facets": ["brand"],
        "exclude": [{"text": "dots", "above": 0.5}], "mmr": {"diversity": 0.3}, "explain": True,
    }  # fmt: skip
    with BatchThread() as thread:
        found = Searcher(gathered(index, thread), tiny, embed=embed).search(query)
    expected = Searcher(index, tiny, embed=embed).search(query)
    assert [hit.to_json() for hit in found.hits] == [hit.to_json() for hit in expected.hits]
    assert found.facets == expected.facets
    assert len(found.hits) < len(DOCUMENTS)


def test_a_cache_keeps_what_was_used_last_within_its_size() -> None:
    cache = VectorCache(3 * (4 * 8 + 256))
    vectors = [np.full(8, i, dtype=np.float32) for i in range(5)]
    for i in range(3):
        cache.keep(bytes([i]), vectors[i])
    assert cache.keep(b"\0", vectors[4])[0] == 0  # the first stays
    assert cache.get(b"\0") is not None
    cache.keep(b"\3", vectors[3])
    assert [cache.get(bytes([i])) is not None for i in range(4)] == [True, False, True, True]
    assert (cache.hits, cache.misses) == (4, 1)
