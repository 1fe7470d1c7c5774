"""The paired randomisation test: how often random signs give as large a mean."""

from __future__ import annotations

import numpy as np

from rankfield.evaluation.resampling import CHUNK, rounds_for
from rankfield.metrics.rankings import FloatArray

__all__ = ["EXACT", "randomisation_p"]

EXACT = 18
"""For up to so many queries all 2ⁿ signs are tried."""

_FEW = 10
"""With fewer flips as far than this, their share says little: the tail is estimated."""

_TAIL_DRAWN = 2 * 10**7
_TAIL_ROUNDS = (200, 5_000)
_TOLERANCE = 1e-12


def randomisation_p(z: FloatArray, rounds: int | None, seed: int) -> FloatArray:
    """Return the two-sided p of each column of differences, (columns,).

    p is the share of sign flips of z with |Σ ±z_i| ≥ |Σ z_i|. All 2ⁿ are tried for n ≤ `EXACT`.
    Otherwise flips are drawn, p = (flips as far + 1) / (rounds + 1); where fewer than 10 are as
    far, p is estimated from flips drawn in favour of the tail (importance sampling by exponential
    tilting; Siegmund, Annals of Statistics 4(4), 1976), so that p has no floor.

    Args:
        z: differences (n, columns), none of them NaN.
        rounds: how many flips; by default as above. Given, all are tried where 2ⁿ ≤ rounds, and
            the tail isn't estimated.
        seed: of the flips.
    """
    count = len(z)
    exact = 2 ** min(count, 63) <= (2**EXACT if rounds is None else rounds)
    tried = 2**count if exact else rounds_for(rounds, count)
    rng = np.random.default_rng(seed)
    total, room = z.sum(axis=0), np.abs(z).sum(axis=0)
    reached = np.zeros(z.shape[1])
    size = max(1, CHUNK // max(count, 1))
    for start in range(0, tried, size):
        rows = min(size, tried - start)
        kept = _every_choice(start, rows, count) if exact else _choices(rng, rows, count)
        sums = 2.0 * (kept @ z) - total
        # The same sum in another order may differ in its last bits.
        reached += (np.abs(sums) >= np.abs(total) - _TOLERANCE * room).sum(axis=0)
    if exact:
        return reached / tried
    shares: FloatArray = (reached + 1) / (tried + 1)
    if rounds is None:
        for column in np.flatnonzero(reached < _FEW):
            shares[column] = _tail(np.abs(z[:, column]), float(abs(total[column])), seed)
    return shares


def _tail(sizes: FloatArray, total: float, seed: int) -> float:
    """Return P(|Σ ±sizes| ≥ total), estimated by drawing each sign + with σ(2 t size).

    t makes the expected sum `total`; a draw of sum s counts exp(Σ log cosh(t size) − t s).
    """
    sizes = sizes[sizes > 0]
    room = float(sizes.sum())
    # At least the observed signs and their opposites reach the total.
    least = max(2.0 ** (1 - len(sizes)), np.finfo(np.float64).tiny)
    if total >= room * (1 - 1e-9):
        return float(least)
    sizes, total = sizes / sizes.max(), total / float(sizes.max())
    tilt = _tilt(sizes, total)
    chances = 1 / (1 + np.exp(-2 * tilt * sizes))
    # log cosh x = |x| + log(1 + exp(−2|x|)) − log 2
    growth = float((tilt * sizes + np.log1p(np.exp(-2 * tilt * sizes)) - np.log(2)).sum())
    rng = np.random.default_rng(seed)
    fewest, most = _TAIL_ROUNDS
    rounds = min(most, max(fewest, _TAIL_DRAWN // len(sizes)))
    size, counted = max(1, CHUNK // len(sizes)), 0.0
    for start in range(0, rounds, size):
        drawn = rng.random((min(size, rounds - start), len(sizes))) < chances
        beyond = 2.0 * (drawn @ sizes) - sizes.sum() - total
        beyond = beyond[beyond >= -_TOLERANCE * sizes.sum()]
        counted += float(np.exp(-tilt * beyond).sum())
    return float(max(2 * np.exp(growth - tilt * total) * counted / rounds, least))


def _tilt(sizes: FloatArray, total: float) -> float:
    """Return the t with Σ size · tanh(t size) = total, by bisection."""
    low, high = 0.0, 1.0
    while (sizes * np.tanh(high * sizes)).sum() < total and high < 1e9:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if (sizes * np.tanh(middle * sizes)).sum() < total:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _every_choice(start: int, rows: int, count: int) -> FloatArray:
    """Return the bits of the numbers from `start`, (rows, count): which signs are kept."""
    bits: FloatArray = (np.arange(start, start + rows)[:, None] >> np.arange(count) & 1).astype(
        np.float64
    )
    return bits


def _choices(rng: np.random.Generator, rows: int, count: int) -> FloatArray:
    """Return random bits, (rows, count)."""
    drawn = rng.integers(0, 256, (rows, (count + 7) // 8), dtype=np.uint8)
    return np.unpackbits(drawn, axis=1, count=count).astype(np.float64)
