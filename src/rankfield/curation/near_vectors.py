"""Near duplicates by embeddings: every pair is compared, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.curation.criteria import Pairs, Wanted
from rankfield.errors import DataError, InputError
from rankfield.progress import progress

__all__ = ["VectorCriterion"]

_TILE = 2_048
_ROUNDING = 1e-6


class VectorCriterion:
    """Two records are near duplicates if the cosine of their embeddings is large enough.

    Exact, N² / 2 cosines: for up to some hundred thousand records. Vectors of length 0 are like
    no other. A cosine within 10⁻⁶ below the threshold counts: float32 knows no better.

    Args:
        vectors: float (N, D), as a memory map too.
        threshold: least cosine, above −1 and at most 1.
        name: what they are called in reports.

    Raises:
        InputError: a threshold out of range.
        DataError: not a matrix, or numbers that are not finite.
    """

    def __init__(
        self, vectors: NDArray[np.floating], threshold: float, *, name: str = "embedding"
    ) -> None:
        if not -1 < threshold <= 1:
            raise InputError(
                f"expected a cosine above −1 and at most 1, found {threshold}", where=f"near {name}"
            )
        if vectors.ndim != 2:
            raise DataError(
                f"expected a matrix, a row for each record, found shape {vectors.shape}",
                where=f"near {name}",
            )
        given = np.asarray(vectors, dtype=np.float32)
        lengths = np.linalg.norm(given, axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            row = int(np.flatnonzero(~np.isfinite(lengths[:, 0]))[0])
            raise DataError("expected finite numbers", where=f"near {name}, row {row}")
        self._vectors = given / np.maximum(lengths, np.finfo(np.float32).tiny)
        self._least = np.float32(threshold - _ROUNDING)
        self.how = f"{name} ≥ {threshold:g} (cosine)"
        rows = pl.Series(np.arange(len(given)))
        self.same = pl.select(
            pl.when(pl.Series(lengths[:, 0] > 0)).then(rows).otherwise(None)
        ).to_series()

    def candidates(self, rows: NDArray[np.int64], wanted: Wanted) -> Iterator[Pairs]:
        """Yield the pairs whose cosine reaches the threshold."""
        tiles = [rows[start : start + _TILE] for start in range(0, len(rows), _TILE)]
        with progress("comparing embeddings", len(rows), unit="records") as advance:
            for i, left in enumerate(tiles):
                for right in tiles[i:]:
                    cosines = self._vectors[left] @ self._vectors[right].T
                    a, b = np.nonzero(cosines >= self._least)
                    first, second = left[a], right[b]
                    new = (first < second) & wanted(first, second)
                    yield np.stack([first[new], second[new]], axis=1)
                advance(len(left))

    def alike(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return for each pair whether its cosine reaches the threshold."""
        found = np.empty(len(pairs), dtype=bool)
        for start in range(0, len(pairs), _TILE):
            part = pairs[start : start + _TILE]
            left, right = self._vectors[part[:, 0]], self._vectors[part[:, 1]]
            found[start : start + _TILE] = np.einsum("ij,ij->i", left, right) >= self._least
        return found
