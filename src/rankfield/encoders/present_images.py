"""Whether the image files that records name are there, asked before long work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rankfield.encoders.columns import FieldColumn, ImageSource
from rankfield.errors import ImageError
from rankfield.messages import more

__all__ = ["require_images"]


def require_images(
    column: FieldColumn,
    source: ImageSource,
    place: Callable[[int], str],
    *,
    remedy: str,
) -> None:
    """Make sure that every image file of these records exists; none is opened.

    Args:
        column: an image field.
        source: from its values to files or images.
        place: where row number r is, for messages.
        remedy: what to do about a missing file.

    Raises:
        ImageError: a file is missing; names it, its row, and how many more are missing.
    """
    missing = []
    for code, value in enumerate(column.values):
        file = source(value)
        if isinstance(file, Path) and not file.is_file():
            missing.append((code, file))
    if missing:
        code, file = missing[0]
        entry = int(np.flatnonzero(column.entries == code)[0])
        row = int(np.searchsorted(column.starts, entry, side="right")) - 1
        raise ImageError(
            f"no such image: {file!s}" + more(len(missing) - 1),
            where=f"{place(row)}, field {column.field.name!r}",
            remedy=remedy,
        )
