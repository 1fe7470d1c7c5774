"""The folder of the service's feedback, taken back to where a stage of the loop began."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rankfield.outputs import storage_errors
from rankfield.serving.journal import EVENTS, INTERLEAVED, QUERIES

__all__ = ["feedback_sizes", "take_back"]

_FILES = (EVENTS, QUERIES, INTERLEAVED)


def feedback_sizes(folder: Path) -> dict[str, int]:
    """Return file → bytes."""
    return {name: (folder / name).stat().st_size for name in _FILES if (folder / name).is_file()}


def take_back(folder: Path, sizes: Mapping[str, int]) -> None:
    """Remove what was added since `feedback_sizes` returned these: of a stage that was killed.

    Raises:
        OutputError: it cannot be written.
    """
    for name, size in feedback_sizes(folder).items():
        if size > sizes.get(name, 0):
            with storage_errors(folder / name):
                os.truncate(folder / name, sizes.get(name, 0))
