"""Matrices in NumPy's format, mapped instead of read."""

from __future__ import annotations

import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from rankfield.errors import InputError

__all__ = ["map_matrix"]

# NumPy reads the header as a Python literal.
_DAMAGED = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError, RecursionError)


def map_matrix(path: Path) -> npt.NDArray[Any]:
    """Return the array of a file that `numpy.save` wrote, memory-mapped for reading.

    Raises:
        InputError: the file is missing or damaged, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            if npy.read_magic(file) == (1, 0):
                shape, _, dtype = npy.read_array_header_1_0(file)
                if 0 in shape:  # nothing can be mapped
                    return np.empty(shape, dtype)
        return npy.open_memmap(path, mode="r")
    except _DAMAGED as error:
        raise InputError(
            f"expected a matrix as numpy.save writes it ({error})", where=str(path)
        ) from error
