"""Near duplicates among texts: MinHash of their shingles finds them, exact Jaccard confirms."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.curation.criteria import Pairs, Wanted, bucket_pairs
from rankfield.curation.texts import digests
from rankfield.errors import InputError
from rankfield.extras import needs_extra
from rankfield.progress import progress

__all__ = ["PERMUTATIONS", "Shingles", "TextCriterion", "bands_for", "jaccard"]

PERMUTATIONS = 128
_RECALL = 0.99
_AT_A_TIME = 2_000
_CACHED = 16_384


@dataclass(frozen=True)
class Shingles:
    """What of a text is compared: the set of all runs of `size` words or characters.

    A text shorter than that is one shingle. Blanks count as characters.
    """

    unit: Literal["words", "characters"] = "characters"
    size: int = 4

    @classmethod
    def parse(cls, text: str) -> Shingles:
        """Read "characters:4" or "words:2".

        Raises:
            InputError: another unit, or a size that is not 1 or more.
        """
        unit, _, size = text.partition(":")
        if unit not in ("words", "characters") or not size.isdecimal() or int(size) < 1:
            raise InputError(f"expected words:N or characters:N, found {text!r}", where="shingles")
        return cls("words" if unit == "words" else "characters", int(size))

    def of(self, text: str) -> frozenset[str]:
        """Return the shingles of a normalised text; none of ""."""
        if not text:
            return frozenset()
        if self.unit == "characters":
            last = max(len(text) - self.size, 0)
            return frozenset(text[i : i + self.size] for i in range(last + 1))
        words = text.split(" ")
        last = max(len(words) - self.size, 0)
        return frozenset(" ".join(words[i : i + self.size]) for i in range(last + 1))

    def __str__(self) -> str:
        return f"{self.unit}:{self.size}"


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Return |A ∩ B| / |A ∪ B|; 0 where both are empty."""
    common = len(first & second)
    union = len(first) + len(second) - common
    return common / union if union else 0.0


def bands_for(threshold: float, permutations: int = PERMUTATIONS) -> tuple[int, int]:
    """Return how many bands of how many hashes each find pairs of this Jaccard similarity.

    A pair of similarity s agrees in all r hashes of at least one of b bands with probability
    1 − (1 − sʳ)ᵇ (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, 3.4). The largest r
    is taken for which that is at least 0.99 at s = threshold, so that the misses are below 1 % at
    the threshold itself and fewer above; what is found wrongly is compared and dropped.
    """
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - threshold**rows) ** bands >= _RECALL:
            return bands, rows
    return permutations, 1


class TextCriterion:
    """Two texts are near duplicates if the Jaccard similarity of their shingles is large enough.

    Keeps the texts and 8 bytes of each band in memory.

    Args:
        texts: normalised texts (`texts.normalised`), shape (N,), not null; "" is like no other.
        threshold: least Jaccard similarity, above 0 and at most 1.
        shingles: what is compared.
        name: what the texts are called in reports.

    Raises:
        InputError: a threshold out of range.
        MissingExtraError: datasketch is not installed.
    """

    def __init__(
        self,
        texts: pl.Series,
        threshold: float,
        shingles: Shingles | None = None,
        *,
        name: str = "text",
    ) -> None:
        if not 0 < threshold <= 1:
            raise InputError(
                f"expected a Jaccard similarity above 0 and at most 1, found {threshold}",
                where=f"near {name}",
            )
        self._texts = texts
        self._threshold = threshold
        self._shingles = shingles or Shingles()
        # a text of a large bucket is compared many times
        self._set_of = lru_cache(maxsize=_CACHED)(self._shingles.of)
        self.how = f"{name} ≥ {threshold:g} (Jaccard of {self._shingles})"
        self.same = digests(texts)
        minhash = _minhash()
        self._bands = self._band_keys(minhash)

    def candidates(self, rows: NDArray[np.int64], wanted: Wanted) -> Iterator[Pairs]:
        """Yield the pairs that agree in a band of their MinHashes."""
        yield from bucket_pairs(self._bands, rows, wanted)

    def alike(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return for each pair whether its Jaccard similarity reaches the threshold."""
        found = np.empty(len(pairs), dtype=bool)
        # few sets at a time: one takes some kilobytes
        for start in range(0, len(pairs), _AT_A_TIME):
            part = pairs[start : start + _AT_A_TIME]
            first, second = (self._texts.gather(part[:, i]) for i in (0, 1))
            found[start : start + len(part)] = [
                jaccard(self._set_of(a), self._set_of(b)) >= self._threshold
                for a, b in zip(first, second, strict=True)
            ]
        return found

    def _band_keys(self, minhash: Any) -> NDArray[np.uint64]:
        bands, width = bands_for(self._threshold)
        keys = np.empty((bands, len(self._texts)), dtype=np.uint64)
        # odd multipliers, the same on every run: which sums agree decides what is compared
        factors = np.random.default_rng(0).integers(1, 2**63, (bands, width), dtype=np.uint64)
        factors = factors * np.uint64(2) + np.uint64(1)
        texts = iter(self._texts)
        start = 0
        with progress("comparing texts", len(self._texts), unit="texts") as advance:
            while some := list(islice(texts, _AT_A_TIME)):
                signatures = self._signatures(minhash, some)[:, : bands * width]
                blocks = signatures.reshape(len(some), bands, width).astype(np.uint64)
                keys[:, start : start + len(some)] = (blocks * factors).sum(axis=2).T
                start += len(some)
                advance(len(some))
        return keys

    def _signatures(self, minhash: Any, texts: Sequence[str]) -> NDArray[np.uint32]:
        sets = ([part.encode() for part in self._shingles.of(text)] for text in texts)
        hashes = minhash.generator(
            sets, num_perm=PERMUTATIONS, seed=1, scheme="affine32", hashfunc=zlib.crc32
        )
        return np.stack([one.hashvalues for one in hashes])


def _minhash() -> Any:
    with needs_extra("dedupe", "near duplicates of texts need the package datasketch"):
        return importlib.import_module("datasketch").MinHash
