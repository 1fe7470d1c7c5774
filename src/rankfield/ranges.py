"""Many short ranges at once, without a loop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ranges"]


def ranges(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which range each entry of range(counts[0]), range(counts[1]) … is of, and its value.

    Both are int64 of length Σ counts: for counts 2, 0, 3 they are 0 0 2 2 2 and 0 1 0 1 2.

    Args:
        counts: lengths ≥ 0.
    """
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
