from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.search import (
    Hits,
    exact_search,
    merge_hits,
    search_on_devices,
    shard_of,
    sharded_search,
)

WORKER = Path(__file__).with_name("shard_worker.py")


def random(seed: int, queries: int, documents: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    left = rng.integers(-2, 3, (queries, 3)).astype(np.float32)
    return left, rng.integers(-2, 3, (documents, 3)).astype(np.float32)


def assert_same(found: Hits, expected: Hits) -> None:
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.similarities, expected.similarities)


@given(
    seed=st.integers(0, 1000),
    documents=st.integers(1, 50),
    parts=st.integers(1, 6),
    k=st.integers(1, 60),
)
@settings(max_examples=25, deadline=None)
def test_merging_equals_one_search(seed: int, documents: int, parts: int, k: int) -> None:
    left, right = random(seed, 4, documents)
    shards = [shard_of(documents, part, parts) for part in range(parts)]
    assert [row for shard in shards for row in shard] == list(range(documents))
    found = [exact_search(left, right[s.start : s.stop], k) for s in shards]
    assert_same(merge_hits(found, [s.start for s in shards], k), exact_search(left, right, k))
    assert_same(search_on_devices(left, right, k, ["cpu"] * parts), exact_search(left, right, k))


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    left, right = random(1, 20, 501)
    np.save(tmp_path / "queries.npy", left)
    np.save(tmp_path / "documents.npy", right)
    running = [
        subprocess.Popen([sys.executable, WORKER, tmp_path, str(rank), "2"]) for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    for k in (7, 400):
        expected = exact_search(left, right, k)
        for rank in range(2):
            with np.load(tmp_path / f"{rank}-{k}.npz") as found:
                assert_same(Hits(found["indices"], found["scores"]), expected)
        assert_same(sharded_search(left, right, k), expected)


def test_lists_that_end_early_stay_at_the_end() -> None:
    short = Hits(np.array([[0, -1]]), np.array([[0.5, -np.inf]], np.float32))
    merged = merge_hits([short, short], [0, 10], 4)
    np.testing.assert_array_equal(merged.indices, [[0, 10, -1, -1]])
    np.testing.assert_array_equal(merged.similarities, [[0.5, 0.5, -np.inf, -np.inf]])


def test_refuses_what_does_not_fit() -> None:
    left, right = random(2, 3, 9)
    hits = exact_search(left, right, 2)
    with pytest.raises(DataError, match="same queries"):
        merge_hits([hits, exact_search(left[:2], right, 2)], [0, 9], 2)
    with pytest.raises(DataError, match="where it starts"):
        merge_hits([hits], [0, 9], 2)
    with pytest.raises(DataError, match="part below 2"):
        shard_of(9, 2, 2)
    with pytest.raises(DataError, match="at least one device"):
        search_on_devices(left, right, 2, [])
