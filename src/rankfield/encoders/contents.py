"""Which records of a table hold the same, whatever their ids and their images' file names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankfield.encoders.columns import FieldColumn
from rankfield.files import file_sha256
from rankfield.progress import progress
from rankfield.schema import RankingDataset

__all__ = ["content_ids", "first_of_content"]


def content_ids(
    columns: Sequence[FieldColumn],
    dataset: RankingDataset,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return a number for each record; two have the same exactly when all their fields do.

    Texts are the same when they are verbatim equal, images when their bytes are, under whatever
    path, and lists when they hold the same images, in whatever order: their mean is the
    same. A record without any field is equal only to itself. Only image files of equal size are
    read, each once; one that cannot be read is equal only to itself.

    Args:
        columns: the fields of one table, from `field_columns`.
        dataset: where paths of images start from.
        rows: the records to number, so that no other record's images are read; all by default.

    Returns:
        Numbers from 0 without gaps, int64, one for each of `rows`.
    """
    if rows is None:
        size = len(columns[0].starts) - 1 if columns else 0
        rows = np.arange(size, dtype=np.int64)
    numbers = np.zeros(len(rows), dtype=np.int64)
    found = np.zeros(len(rows), dtype=bool)
    for column in columns:
        positions, codes = column.entries_of(rows)
        found[positions] = True
        if column.field.modality == "image":
            codes = _same_files(dataset, column, codes)[codes]
        lists = _number_lists(len(rows), positions, codes)
        pairs = numbers * (int(lists.max(initial=0)) + 1) + lists
        numbers = np.unique(pairs, return_inverse=True)[1]
    alone = np.flatnonzero(~found)
    own = np.unique(rows[alone], return_inverse=True)[1]
    numbers[alone] = int(numbers.max(initial=0)) + 1 + own
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def first_of_content(
    columns: Sequence[FieldColumn], dataset: RankingDataset, rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each of these rows the first of them whose record holds the same (`content_ids`).

    Args:
        columns: the fields of one table, from `field_columns`.
        dataset: where paths of images start from.
        rows: distinct, in any order.
    """
    contents = content_ids(columns, dataset, rows)
    return rows[np.unique(contents, return_index=True)[1][contents]]


def _number_lists(
    size: int, positions: NDArray[np.int64], codes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return a number for each record's codes, the same for equal ones in any order; 0 for none.

    Lists are told apart item by item: after round k, records with the same first k + 1 sorted
    codes share a number. Numbers of a later round are above all earlier ones, so that a list is
    never taken for a longer one that begins like it.
    """
    order = np.lexsort((codes, positions))
    codes = codes[order]
    counts = np.bincount(positions, minlength=size)
    starts = np.cumsum(counts) - counts
    numbers = np.zeros(size, dtype=np.int64)
    used = 1
    for k in range(int(counts.max(initial=0))):
        longer = np.flatnonzero(counts > k)
        item = codes[starts[longer] + k]
        pairs = numbers[longer] * (int(codes.max()) + 1) + item
        distinct, inverse = np.unique(pairs, return_inverse=True)
        numbers[longer] = used + inverse
        used += len(distinct)
    return numbers


def _same_files(
    dataset: RankingDataset, column: FieldColumn, codes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each code the lowest of these codes whose image has the same bytes."""
    same = np.arange(len(column.values), dtype=np.int64)
    by_size: dict[int, list[tuple[int, Path]]] = {}
    for code in np.unique(codes).tolist():
        source = dataset.image_source(column.values[code])
        if isinstance(source, Path):  # bytes are distinct values already
            size = _size(source)
            if size is not None:
                by_size.setdefault(size, []).append((code, source))
    doubtful = [pair for group in by_size.values() if len(group) > 1 for pair in group]
    if not doubtful:
        return same
    first: dict[str, int] = {}
    for (code, _), digest in zip(doubtful, _digests([p for _, p in doubtful]), strict=True):
        if digest is not None:
            same[code] = first.setdefault(digest, code)
    return same


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _digests(paths: Sequence[Path]) -> list[str | None]:
    digests: list[str | None] = []
    workers = min(16, 2 * (os.cpu_count() or 1))
    with (
        progress("comparing images", len(paths), unit="images") as advance,
        ThreadPoolExecutor(workers) as pool,
    ):
        for digest in pool.map(_sha256, paths):
            digests.append(digest)
            advance(1)
    return digests


def _sha256(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None
