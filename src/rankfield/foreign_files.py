"""Files that other systems leave beside data: they are no part of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["is_foreign", "own_paths"]

_NAMES = re.compile(
    r"""
      \..*                                  # .DS_Store, ._a.csv, .a.csv.crc, .ipynb_checkpoints
    | ~\$.*                                 # what Office keeps while a file is open
    | __MACOSX | Icon\r                     # macOS, in archives and folders
    | (eh)?Thumbs(_vista)?\.db | desktop\.ini | \$RECYCLE\.BIN | System\ Volume\ Information
    | _SUCCESS | _(started|committed)_.* | _(common_)?metadata | _temporary | _delta_log   # Spark
    | @eaDir | lost\+found                  # Synology, ext4
    | .*\.crc                               # Hadoop
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_foreign(name: str) -> bool:
    """Return whether a file or folder of this name is one that other systems leave beside data."""
    return _NAMES.fullmatch(name) is not None


def own_paths(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Return the paths in a folder in order, without those that are, or are in, foreign ones."""
    return sorted(p for p in paths if not any(map(is_foreign, p.relative_to(folder).parts)))
