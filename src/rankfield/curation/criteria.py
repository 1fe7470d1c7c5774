"""When two records count as near duplicates, and which pairs are worth a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["Criterion", "Pairs", "Wanted", "bucket_pairs", "similar_by_all"]

Pairs = NDArray[np.int64]
"""Rows of two records each, int64 (P, 2)."""
Wanted = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]
"""Which pairs are still of interest: first rows, second rows → bool."""

_AT_A_TIME = 200_000


class Criterion(Protocol):
    """One criterion of near duplicates over the N records of a table."""

    @property
    def how(self) -> str:
        """The criterion in words, for reports and provenance."""

    @property
    def same(self) -> pl.Series:
        """Keys (N,) that records share which are alike beyond doubt; null: like no other."""

    def candidates(self, rows: NDArray[np.int64], wanted: Wanted) -> Iterator[Pairs]:
        """Yield pairs among these rows that may be alike, those alone which `wanted` wants.

        `wanted` is asked again before every yield: what was found by then need not come again.
        """

    def alike(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return for each pair whether its two records are near duplicates; exact."""


def similar_by_all(criteria: Sequence[Criterion], pairs: Pairs) -> NDArray[np.bool_]:
    """Return for each pair whether its records are alike by every criterion."""
    alike = np.ones(len(pairs), dtype=bool)
    for criterion in criteria:
        places = np.flatnonzero(alike)
        alike[places] = criterion.alike(pairs[places])
    return alike


def bucket_pairs(
    bands: NDArray[np.uint64], rows: NDArray[np.int64], wanted: Wanted
) -> Iterator[Pairs]:
    """Yield the pairs of rows that share a key in some band, each in the first such band alone.

    Args:
        bands: uint64 (B, N), a key of each record for each band.
        rows: the rows that count, int64 (M,).
        wanted: which pairs are of interest; those that are not are passed over before they are
            gathered, so that a bucket of records already found alike costs little.
    """
    for band, keys in enumerate(bands):
        # buckets side by side; those of one record fall away at the first turn
        order = rows[np.argsort(keys[rows], kind="stable")]
        starts = np.arange(len(order))
        for shift in count(1):
            starts = starts[starts + shift < len(order)]
            starts = starts[keys[order[starts]] == keys[order[starts + shift]]]
            if not len(starts):
                break
            for some in np.array_split(starts, -(-len(starts) // _AT_A_TIME)):
                first, second = order[some], order[some + shift]
                new = wanted(first, second)
                first, second = first[new], second[new]
                earlier = (bands[:band, first] == bands[:band, second]).any(axis=0)
                if not earlier.all():
                    yield np.stack([first[~earlier], second[~earlier]], axis=1)
