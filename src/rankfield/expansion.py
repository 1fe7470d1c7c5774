"""How much a compressed file may hold: small files that unpack to more than memory are refused."""

from __future__ import annotations

import os
from pathlib import Path

from rankfield.errors import DataError, InputError

__all__ = ["VARIABLE", "allowed_bytes", "require_expansion"]

VARIABLE = "RANKFIELD_EXPAND_GIB"
_RATIO = 100


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
