"""One pass of a group of queries over the whole corpus."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from rankfield.errors import DataError
from rankfield.search.order import packed
from rankfield.search.rows import check_finite, release_pages, rows_of
from rankfield.search.running import RunningBest
from rankfield.search.screening import Screen, passing, tile_of
from rankfield.search.similarity import (
    Embeddings,
    all_similarities,
    embeddings_of,
    pair_similarities,
)
from rankfield.search.threads import run_in_threads, thread_count
from rankfield.search.tiling import Tiling

__all__ = ["Scan", "guessed_thresholds"]

_QUERY_BLOCK = 256
_SCATTERED = 64
_RELEASE_EVERY = 2**25
"""Bytes of a memory-mapped file that a thread reads before it lets go of them."""


class Scan:
    """Queries, prepared for the corpus to pass by."""

    def __init__(
        self,
        queries: torch.Tensor,
        documents: npt.NDArray[np.floating] | torch.Tensor,
        *,
        k: int,
        dtype: torch.dtype,
        plan: Tiling,
        span: range,
    ) -> None:
        """Prepare float32 queries (Q, D) for products in `dtype` with the rows `span`."""
        low = tile_of(queries, dtype)
        self.count, self.device, self.dtype = len(queries), queries.device, dtype
        self.documents, self.span, self.k, self.plan = documents, span, k, plan
        self.tile = min(plan.documents, len(span))
        self.threads = thread_count(self.device)
        self.screen = Screen(low)
        self._exact = embeddings_of(queries, low.norms)

    def run(self, threshold: torch.Tensor | None) -> torch.Tensor:
        """Return the sorted keys of the k best documents of each query, int64 (Q, k).

        Args:
            threshold: float32 (Q,), where to start; a query may get fewer than its k best if more
                documents than they lie below. None: look at every pair.

        Raises:
            DataError: a document that is not finite.
        """
        start = torch.full((self.count,), -torch.inf, device=self.device)
        start = start if threshold is None else threshold.clone()
        best = RunningBest(start, self.k, max(self.tile, self.k))
        bad: list[tuple[int, DataError]] = []

        def work(tiles: Iterator[int]) -> None:
            space = _Workspace(self.count, self.tile, self.dtype, self.device)
            read = 0
            for first in tiles:
                read += self.tile * self.documents.shape[1] * 4
                if read >= _RELEASE_EVERY:
                    release_pages(self.documents)
                    read = 0
                try:
                    self._add_tile(best, first, None if threshold is None else space)
                except DataError as error:
                    bad.append((first, error))
                if bad:
                    return

        tiles = range(self.span.start, self.span.stop, self.tile)
        run_in_threads(work, tiles, min(self.threads, len(tiles)))
        if bad:
            raise min(bad, key=lambda found: found[0])[1]
        return self._finished(best)

    def _add_tile(self, best: RunningBest, first: int, space: _Workspace | None) -> None:
        last = min(first + self.tile, self.span.stop)
        block = rows_of(self.documents, slice(first, last), self.device)
        tile = tile_of(block, self.dtype)
        check_finite("document", block, first, tile.norms)
        exact = embeddings_of(block, tile.norms)
        if space is None:
            self._add_all(best, exact, first)
            return
        products, mask = space.of(len(block))
        self.screen.products(slice(None), tile, products)
        places = passing(products, self.screen.cutoffs(best.threshold, tile), mask)
        self._add_places(best, exact, places, first)

    def _add_places(
        self, best: RunningBest, exact: Embeddings, places: torch.Tensor, first: int
    ) -> None:
        """Add the candidates at flat places of (Q, T), a bounded number at once."""
        width = len(exact.vectors)
        edges = torch.arange(self.count + 1, device=self.device) * width
        starts = torch.searchsorted(places, edges)
        limit = self.plan.candidates
        step = self.count if len(places) <= limit else max(1, limit // width)
        for query in range(0, self.count, step):
            part = starts[query : query + step + 1]
            columns = places[int(part[0]) : int(part[-1])] % width
            part = part - part[0]
            queries = self._queries(query, query + step)
            similarities = pair_similarities(queries, exact, part, columns)
            best.add(query, part, packed(similarities, columns + first))

    def _add_all(self, best: RunningBest, exact: Embeddings, first: int) -> None:
        """Add every pair of the tile."""
        width = len(exact.vectors)
        step = max(1, self.plan.candidates // width)
        rows = torch.arange(width, device=self.device) + first
        for query in range(0, self.count, step):
            similarities = all_similarities(self._queries(query, query + step), exact)
            keys = packed(similarities, rows.expand(similarities.shape))
            starts = torch.arange(len(similarities) + 1, device=self.device) * width
            best.add(query, starts, keys.view(-1))

    def _queries(self, first: int, last: int) -> Embeddings:
        return Embeddings(self._exact.vectors[first:last], self._exact.norms[first:last])

    def _finished(self, best: RunningBest) -> torch.Tensor:
        keys = torch.empty((self.count, self.k), dtype=torch.int64, device=self.device)

        def work(blocks: Iterator[int]) -> None:
            for first in blocks:
                last = min(first + _QUERY_BLOCK, self.count)
                keys[first:last] = best.best(first, last)

        run_in_threads(work, range(0, self.count, _QUERY_BLOCK), self.threads)
        return keys


class _Workspace:
    """What one thread writes its products to: new memory for each tile would cost a tenth."""

    def __init__(self, queries: int, tile: int, dtype: torch.dtype, device: torch.device) -> None:
        self._queries = queries
        self._products = torch.empty(queries * tile, dtype=dtype, device=device)
        self._mask = torch.empty(queries * tile, dtype=torch.bool, device=device)

    def of(self, tile: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the products and the mask for a tile of so many documents, (Q, tile)."""
        size = (self._queries, tile)
        used = self._queries * tile
        return self._products[:used].view(size), self._mask[:used].view(size)


def guessed_thresholds(scan: Scan) -> torch.Tensor:
    """Return for each query a similarity that a few more than k documents reach, float32 (Q,).

    Of n documents drawn from N, one in each of n equal stretches, about e = n·k/N are among the
    k best; the guess is the product with the (e + 4√e + 3)-th best of them, which is too high for
    about one query in 100,000. −∞ where the sample is too small to say.
    """
    total, size = len(scan.span), scan.plan.sample
    expected = size * scan.k / total
    rank = math.ceil(expected + 4 * math.sqrt(expected) + 3)
    guess = torch.full((scan.count,), -torch.inf, device=scan.device)
    if rank * 2 > size:
        return guess
    stretches = np.arange(size) + np.random.default_rng(0).random(size)
    rows = (stretches * (total / size)).astype(np.int64).clip(max=total - 1)
    sample = tile_of(_scattered(scan, scan.span.start + rows), scan.dtype)

    def work(blocks: Iterator[int]) -> None:
        for first in blocks:
            part = slice(first, min(first + _QUERY_BLOCK, scan.count))
            shape = (part.stop - first, size)
            out = torch.empty(shape, dtype=scan.dtype, device=scan.device)
            guess[part] = _nth_largest(scan.screen.products(part, sample, out).float(), rank)

    run_in_threads(work, range(0, scan.count, _QUERY_BLOCK), scan.threads)
    return guess


def _scattered(scan: Scan, rows: npt.NDArray[np.int64]) -> torch.Tensor:
    """Return rows that lie far apart, of a file with the megabytes that the system reads around."""
    parts = []
    for start in range(0, len(rows), _SCATTERED):
        parts.append(rows_of(scan.documents, rows[start : start + _SCATTERED], scan.device))
        release_pages(scan.documents)
    return torch.cat(parts)


def _nth_largest(values: torch.Tensor, rank: int) -> torch.Tensor:
    if values.device.type != "cpu":
        return values.topk(rank, dim=1).values[:, -1]
    place = values.shape[1] - rank
    return torch.from_numpy(np.partition(values.numpy(), place, axis=1)[:, place].copy())
