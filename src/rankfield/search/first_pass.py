"""A first look at all documents, cheap in what it reads, that leaves few to be computed exactly."""

from __future__ import annotations

import functools
import re
import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from rankfield.errors import InputError
from rankfield.search.integer_products import integer_products
from rankfield.search.rows import rows_of
from rankfield.search.screening import Screen, Tile

__all__ = ["PROVEN", "FirstPass", "Look", "check_first_pass", "first_pass"]

PROVEN = ("none", "int8")
"""The first passes that miss nothing."""

_AT_ONCE = 65_536
_ROOM = 1.001
_WORDS = re.compile(r"none|int8|binary|dimensions:[1-9]\d{0,5}")


@dataclass(frozen=True)
class Look:
    """What a first pass says of each query and document.

    scores: float32 (Q, n), larger is better.
    error: float32 (Q, n) or (Q, 1): the similarity is within it of the score; None where nothing
        is known of it.
    """

    scores: torch.Tensor
    error: torch.Tensor | None


class FirstPass(Protocol):
    """Documents in a form that is quick to look at, in the order of their rows.

    proven: whether `look` says how large the error is.
    """

    proven: bool

    def look(self, queries: torch.Tensor, rows: npt.NDArray[np.int64] | None) -> Look:
        """Return the scores of float32 queries (Q, D), for some rows or for all."""


def check_first_pass(name: str, dimension: int) -> None:
    """Refuse a first pass that there is none of.

    Raises:
        InputError: not "none", "int8", "binary" or "dimensions:N" with N below the dimension.
    """
    if not _WORDS.fullmatch(name) or (
        name.startswith("dimensions:") and int(name.partition(":")[2]) >= dimension
    ):
        raise InputError(
            f"expected none, int8, binary or dimensions:N with N below {dimension}, found {name!r}",
            where="first pass",
        )


def first_pass(name: str, vectors: npt.NDArray[np.floating], longest: float) -> FirstPass:
    """Return a first pass over vectors (N, D), of which the longest has at most that norm.

    - "none": the inner products in float32, with a proven error. All vectors are read.
    - "int8": D bytes of a document in place of 4·D, with a proven error.
    - "binary": the signs of the numbers, D / 8 bytes; nothing is known of the error.
    - "dimensions:N": the first N numbers, for models trained by Matryoshka; nothing is known.

    Args:
        name: one of these (`check_first_pass`).
        vectors: float32 or float16 (N, D), which may be memory-mapped.
        longest: no vector has a larger norm.
    """
    if name == "int8":
        return _Int8(vectors, longest)
    if name == "binary":
        return _Binary(vectors)
    if name.startswith("dimensions:"):
        return _Prefix(vectors, int(name.partition(":")[2]))
    return _Plain(vectors, longest)


class _Plain:
    """Inner products in float32."""

    proven = True

    def __init__(self, vectors: npt.NDArray[np.floating], longest: float) -> None:
        _quiet()
        self._vectors, self._longest = vectors, torch.tensor([longest], dtype=torch.float32)

    def look(self, queries: torch.Tensor, rows: npt.NDArray[np.int64] | None) -> Look:
        norms = torch.linalg.vector_norm(queries, dim=1)
        screen = Screen(Tile(queries, norms, torch.zeros_like(norms)))
        documents = Tile(queries[:0], self._longest, torch.zeros(1))
        error = screen.slack(documents).float()[:, None] * _ROOM
        return Look(_products(queries, self._vectors, rows), error)


class _Int8:
    """Each document as D whole numbers and a step: d = step · code + rest, ‖rest‖ known.

    A query is a sum of two such vectors, the second for the rest of the first, so that of the
    error only the documents' share counts:

        |q·d − q'·d'| ≤ ‖q‖·‖d − d'‖ + ‖q − q'‖·‖d'‖.

    Inner products of the codes are exact.
    """

    proven = True

    def __init__(self, vectors: npt.NDArray[np.floating], longest: float) -> None:
        count, width = vectors.shape
        self._codes = torch.empty((count, width), dtype=torch.int8)
        self._steps, self._rests = torch.empty(count), torch.empty(count)
        self._longest = longest
        for start in range(0, count, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            codes, steps, rests = _int8(rows_of(vectors, part, torch.device("cpu")))
            self._codes[part], self._steps[part], self._rests[part] = codes, steps, rests

    def look(self, queries: torch.Tensor, rows: npt.NDArray[np.int64] | None) -> Look:
        first, step, _ = _int8(queries)
        rest = queries - first * step[:, None]
        second, fine, _ = _int8(rest)
        lost = torch.linalg.vector_norm(rest - second * fine[:, None], dim=1)
        chosen = slice(None) if rows is None else torch.from_numpy(rows)
        products = integer_products(self._codes[chosen], torch.cat([first, second]).T)
        scores = (products[:, : len(queries)] * step + products[:, len(queries) :] * fine).T
        scores = scores * self._steps[chosen]
        norms = torch.linalg.vector_norm(queries, dim=1)
        # d' is at most twice as long as d; the last term is for the roundings of float32.
        fixed = lost * self._longest * 2 + norms * (self._longest * 2.0**-18)
        error = norms[:, None] * self._rests[chosen] + fixed[:, None]
        return Look(scores, error * _ROOM)


class _Binary:
    """The signs of a vector's numbers; a score is minus the number of signs that differ."""

    proven = False

    def __init__(self, vectors: npt.NDArray[np.floating]) -> None:
        starts = range(0, len(vectors), _AT_ONCE)
        words = [_signs(vectors[start : start + _AT_ONCE]) for start in starts]
        self._words = np.concatenate(words or [np.zeros((0, 1), np.uint64)]).T.copy()

    def look(self, queries: torch.Tensor, rows: npt.NDArray[np.int64] | None) -> Look:
        words = self._words if rows is None else self._words[:, rows]
        asked = _signs(queries.numpy())
        scores = torch.empty((len(queries), words.shape[1]))
        for number, query in enumerate(asked):
            differing = np.zeros(words.shape[1], dtype=np.uint16)
            for word, mine in zip(words, query, strict=True):
                differing += np.bitwise_count(word ^ mine)
            scores[number] = -torch.from_numpy(differing.astype(np.float32))
        return Look(scores, None)


class _Prefix:
    """Inner products of the first numbers of each vector, of unit length."""

    proven = False

    def __init__(self, vectors: npt.NDArray[np.floating], width: int) -> None:
        self._width = width
        self._vectors = np.empty((len(vectors), width), dtype=np.float32)
        for start in range(0, len(vectors), _AT_ONCE):
            part = np.asarray(vectors[start : start + _AT_ONCE, :width], dtype=np.float32)
            norms = np.linalg.norm(part, axis=1, keepdims=True)
            self._vectors[start : start + _AT_ONCE] = part / np.maximum(norms, 1e-12)

    def look(self, queries: torch.Tensor, rows: npt.NDArray[np.int64] | None) -> Look:
        return Look(_products(queries[:, : self._width].contiguous(), self._vectors, rows), None)


def _products(
    queries: torch.Tensor,
    vectors: npt.NDArray[np.floating],
    rows: npt.NDArray[np.int64] | None,
) -> torch.Tensor:
    """Return the inner products (Q, n) in float32."""
    if rows is None and vectors.dtype == np.float32:
        return queries @ torch.from_numpy(vectors).T
    count = len(vectors) if rows is None else len(rows)
    out = torch.empty((len(queries), count))
    for start in range(0, count, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        block = rows_of(vectors, part if rows is None else rows[part], torch.device("cpu"))
        out[:, part] = queries @ block.T
    return out


def _int8(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return codes int8 (n, D), steps float32 (n,), and the norms of what the codes lack (n,)."""
    steps = vectors.abs().amax(dim=1) / 127
    codes = (vectors / steps.clamp_min(torch.finfo(torch.float32).tiny)[:, None]).round_()
    codes.clamp_(-127, 127)
    rests = torch.linalg.vector_norm(vectors - codes * steps[:, None], dim=1)
    return codes.to(torch.int8), steps, rests


def _signs(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.uint64]:
    """Return one bit for each number, 64 to a word: uint64 (n, ⌈D / 64⌉)."""
    bits = np.packbits(np.asarray(vectors) > 0, axis=1)
    padded = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : bits.shape[1]] = bits
    return padded.view(np.uint64)


@functools.cache
def _quiet() -> None:
    """Trigger torch's one warning that an array is read-only, and discard it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = np.zeros(1, dtype=np.float32)
        array.flags.writeable = False
        torch.from_numpy(array)
