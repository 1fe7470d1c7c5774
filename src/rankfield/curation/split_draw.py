"""Drawing groups by a hash of the seed: a fraction of the rows, or folds of equal size."""

from __future__ import annotations

import hashlib
import heapq

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.errors import SplitError

__all__ = ["draw_folds", "draw_fraction"]

_AT_A_TIME = 100_000


def draw_fraction(
    keys: pl.Series,
    fraction: float,
    seed: int,
    kind: str,
    *,
    strata: pl.Series | None = None,
    notes: list[str],
) -> pl.Series:
    """Return for each row whether its group is taken, so that `fraction` of the rows are.

    Groups come in the order of blake2b(seed, kind, key); each is taken if it still fits. With
    strata the fraction holds in each of them; what rounding takes away is given to those that
    miss most.

    Args:
        keys: str (N,), equal within a group.
        fraction: in (0, 1).
        seed, kind: another seed, or kind, gives another draw.
        strata: str (N,), the same within a group; one stratum if None.
        notes: gets a line where groups keep the fraction from being met within 1 % of the rows.

    Raises:
        SplitError: there is only one group, or all or none would be taken.
    """
    groups = _groups(keys, strata)
    if len(groups) < 2:
        raise SplitError(
            f"cannot divide {len(keys)} {kind} ({len(groups)} group) in two",
            remedy="Add more, or group by another column.",
        )
    order = _places(groups["key"], seed, kind)
    sizes = groups["rows"].to_numpy().astype(np.int64)
    numbers = groups["stratum"].to_numpy()[order]
    targets = _targets(
        np.bincount(groups["stratum"], sizes).astype(np.float64), fraction, len(keys)
    )
    taken = np.zeros(len(groups), dtype=bool)
    for stratum, target in enumerate(targets):
        places = order[numbers == stratum] if len(targets) > 1 else order
        taken[places] = _fill(sizes[places], target)
        missed = _missed(groups[places], taken[places], target)
        if missed:
            notes.append(f"{kind}: {missed} where {fraction:.1%} was asked for")
    if taken.all() or not taken.any():
        raise SplitError(
            f"{'all' if taken.all() else 'none'} of the {kind} would be taken for the fraction"
            f" {fraction:g}",
            remedy="Choose a fraction nearer 0.5, or add more.",
        )
    return _of_rows(keys, groups["key"], pl.Series("taken", taken))


def draw_folds(
    keys: pl.Series, folds: int, seed: int, kind: str, *, strata: pl.Series | None = None
) -> pl.Series:
    """Return the fold of each row, 0 … folds − 1, of about as many rows each; groups stay whole.

    Stratum by stratum, and in each the largest groups first and equal ones in the order of their
    hash, a group goes into the fold that has fewest rows of the stratum, then fewest in all.

    Raises:
        SplitError: there are fewer groups than folds.
    """
    groups = _groups(keys, strata)
    if len(groups) < folds:
        raise SplitError(
            f"cannot divide {len(keys)} {kind} ({len(groups)} groups) into {folds} folds",
            remedy="Choose fewer folds, or group by another column.",
        )
    hashed = np.empty(len(groups), dtype=np.int64)
    hashed[_places(groups["key"], seed, kind)] = np.arange(len(groups))
    sizes = groups["rows"].to_numpy().astype(np.int64)
    numbers = groups["stratum"].to_numpy()
    order = np.lexsort((hashed, -sizes, numbers))
    found = np.empty(len(groups), dtype=np.int64)
    totals = [0] * folds
    for places in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        heap = [(0, total, fold) for fold, total in enumerate(totals)]
        heapq.heapify(heap)
        for place in places.tolist():
            own, total, fold = heap[0]
            size = int(sizes[place])
            found[place] = fold
            heapq.heapreplace(heap, (own + size, total + size, fold))
        for _, total, fold in heap:
            totals[fold] = total
    return _of_rows(keys, groups["key"], pl.Series("fold", found))


def _groups(keys: pl.Series, strata: pl.Series | None) -> pl.DataFrame:
    """Return key, rows and stratum (a number, by name) of each group."""
    if strata is None:
        numbers = pl.Series("stratum", [0], dtype=pl.UInt32).new_from_index(0, len(keys))
    else:
        numbers = (strata.rank("dense") - 1).alias("stratum")
    every = pl.DataFrame({"key": keys, "stratum": numbers})
    if keys.n_unique() == len(keys):
        return every.with_columns(rows=pl.lit(1))
    return every.group_by("key").agg(pl.col("stratum").first(), rows=pl.len())


def _of_rows(keys: pl.Series, groups: pl.Series, values: pl.Series) -> pl.Series:
    if len(groups) == len(keys):
        return values
    marked = pl.DataFrame({"key": groups, "value": values})
    joined = keys.to_frame("key").join(marked, on="key", how="left", maintain_order="left")
    return joined["value"].alias(values.name)


def _targets(rows: NDArray[np.float64], fraction: float, count: int) -> list[int]:
    """Return how many rows of each stratum to take; together `fraction` of all, neither 0 nor N."""
    total = min(max(round(fraction * count), 1), count - 1)
    wanted = rows * fraction
    targets = np.floor(wanted).astype(np.int64)
    missing = total - int(targets.sum())
    most = np.argsort(-(wanted - targets), kind="stable")
    targets[most[: max(missing, 0)]] += 1
    if missing < 0:  # 1 where all would be taken
        targets[most[missing:]] -= 1
    return [int(target) for target in targets]


def _missed(groups: pl.DataFrame, taken: NDArray[np.bool_], target: int) -> str:
    """Say how much was taken and why, if the target is missed by over 1 % of the rows."""
    sizes = groups["rows"].to_numpy()
    rows, count = int(sizes.sum()), int(sizes[taken].sum())
    if abs(count - target) <= max(1.0, 0.01 * rows):
        return ""
    largest = groups.row(int(sizes.argmax()), named=True)
    return (
        f"{count / rows:.1%} taken, because groups stay whole (the largest, {largest['key']!r},"
        f" has {largest['rows']} rows),"
    )


def _places(keys: pl.Series, seed: int, kind: str) -> NDArray[np.int64]:
    """Return the order of keys, no two the same, by their hash; by themselves where it ties."""
    prefix = f"{seed}\0{kind}\0".encode()
    blake2b = hashlib.blake2b
    hashes = np.empty(len(keys), dtype=np.uint64)
    for start in range(0, len(keys), _AT_A_TIME):
        part = keys.slice(start, _AT_A_TIME)
        digests = b"".join(blake2b(prefix + k.encode(), digest_size=8).digest() for k in part)
        hashes[start : start + len(part)] = np.frombuffer(digests, dtype=">u8")
    order = np.argsort(hashes, kind="stable")
    in_order = hashes[order]
    if (in_order[1:] == in_order[:-1]).any():
        both = pl.DataFrame({"hash": hashes, "key": keys}).with_row_index("row")
        order = both.sort("hash", "key")["row"].to_numpy().astype(np.int64)
    return order


def _fill(sizes: NDArray[np.int64], target: int) -> NDArray[np.bool_]:
    """Take each group in turn that still fits; at the end the smallest one left, if nearer so."""
    ends = np.cumsum(sizes)
    first = int(np.searchsorted(ends, target, side="right"))
    taken = np.zeros(len(sizes), dtype=bool)
    taken[:first] = True
    room = target - int(ends[first - 1] if first else 0)
    for i in range(first, len(sizes)):
        if room == 0:
            break
        if sizes[i] <= room:
            taken[i] = True
            room -= int(sizes[i])
    left = np.flatnonzero(~taken)
    if len(left) < 2:
        return taken
    smallest = left[np.argmin(sizes[left])]
    if sizes[smallest] - room < room:
        taken[smallest] = True
    return taken
