"""Files of an index that are mapped instead of read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from rankfield.errors import InputError
from rankfield.io.matrix import map_matrix
from rankfield.paths import require_regular

__all__ = ["REMEDY", "fresh", "mapped", "refuse_links"]

REMEDY = "Build the index again."


def fresh(path: Path) -> Path:
    """Return a path at which there is nothing any more.

    What a version left that was set aside may be a hard link to a file of the previous index.
    """
    path.unlink(missing_ok=True)
    return path


def mapped(path: Path, shape: tuple[int, ...] | None, dtype: str) -> npt.NDArray[Any]:
    """Return the array in a file, memory-mapped and read-only.

    Args:
        path: of the file.
        shape: which is expected; None: any of one dimension.
        dtype: of its numbers.

    Raises:
        InputError: it is missing, a link, damaged, or of another shape or type.
    """
    refuse_links(path)
    try:
        require_regular(path)
        found = map_matrix(path)
    except (InputError, OSError) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), remedy=REMEDY) from error
    fits = found.ndim == 1 if shape is None else found.shape == shape
    if not fits or found.dtype != dtype:
        raise InputError(
            f"expected {dtype} of shape {shape or '(n,)'}, found {found.dtype} of shape "
            f"{found.shape}",
            where=str(path),
            remedy=REMEDY,
        )
    return found


def refuse_links(path: Path) -> None:
    """Refuse a link in place of a file.

    Raises:
        InputError: it is one.
    """
    if path.is_symlink():
        raise InputError("is a link; expected a file of the index", where=str(path), remedy=REMEDY)
