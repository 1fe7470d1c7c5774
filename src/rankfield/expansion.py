"""How much a compressed file may hold: small files that unpack to more than memory are refused."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from rankfield.errors import DataError, InputError

__all__ = ["VARIABLE", "allowed_bytes", "require_expansion", "require_gzip_expansion"]

VARIABLE = "RANKFIELD_EXPAND_GIB"
_RATIO = 100
_MOST_OF_GZIP = 1032
"""Bytes that one byte of deflate can hold: 258 for every two bits."""


def allowed_bytes(size: int) -> int:
    """Return how many bytes a compressed file of `size` bytes may hold.

    100 times as many, and 1 GiB in any case, or as many GiB as the environment variable
    `RANKFIELD_EXPAND_GIB` says.

    Raises:
        InputError: the variable is no number above 0.
    """
    text = os.environ.get(VARIABLE, "1")
    try:
        floor = float(text)
        if not 0 < floor < 1e9:
            raise ValueError
    except ValueError:
        raise InputError(
            f"expected a number of GiB, found {text[:40]!r}", where=f"the variable {VARIABLE}"
        ) from None
    return max(_RATIO * size, int(floor * 2**30))


def require_expansion(path: Path, found: int, size: int) -> None:
    """Raise `DataError` if a compressed file of `size` bytes holds more than it may."""
    allowed = allowed_bytes(size)
    if found > allowed:
        raise DataError(
            f"its {size:,} bytes hold more than {allowed:,} when they are unpacked",
            where=str(path),
            remedy=f"If you trust the file, allow more: {VARIABLE}=16 for 16 GiB.",
        )


def require_gzip_expansion(path: Path) -> None:
    """Raise `DataError` if a gzip file that others unpack holds more than it may.

    It is unpacked once to count, up to the limit, unless it is too small to hold as much.

    Raises:
        OSError, EOFError, zlib.error: it is no whole gzip file.
    """
    size = path.stat().st_size
    allowed, found = allowed_bytes(size), 0
    if size * _MOST_OF_GZIP <= allowed:
        return
    with gzip.open(path) as file:
        while block := file.read(1 << 22):
            found += len(block)
            if found > allowed:
                require_expansion(path, found, size)
