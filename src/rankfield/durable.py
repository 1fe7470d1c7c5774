"""Files that survive a loss of power."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["sync", "sync_tree"]


def sync(path: Path) -> None:
    """Have the contents of a file, or the names in a folder, written to the disk.

    Raises:
        OSError: the disk is full or failed.
    """
    if os.name == "nt" and path.is_dir():  # pragma: no cover  Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Have a folder with all that is in it written to the disk.

    Raises:
        OSError: the disk is full or failed.
    """
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
