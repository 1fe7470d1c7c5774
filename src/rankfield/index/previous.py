"""The index that a rebuilt one has replaced: kept beside it, to go back to."""

from __future__ import annotations

import shutil
from pathlib import Path

from rankfield.durable import sync
from rankfield.errors import InputError
from rankfield.files import link_or_copy, new_folder
from rankfield.index.metadata import is_index, read_header
from rankfield.index.stores import drop_store

__all__ = ["keep_previous", "previous_of", "roll_back"]


def previous_of(folder: str | Path) -> Path:
    """Return where the index is kept that the one in `folder` has replaced."""
    root = Path(folder)
    return root.with_name(f"{root.name}.previous")


def keep_previous(folder: Path) -> None:
    """Keep the index in a folder, which is to be replaced, in place of the one that it replaced.

    Its files are the same ones where the file system has hard links.

    Raises:
        OutputError: it cannot be kept.
        InputError: the store of the one before it cannot be reached.
    """
    target = previous_of(folder)
    if is_index(target):
        drop_store(target, read_header(target))
    _copy(folder, target)


def roll_back(folder: str | Path) -> Path:
    """Exchange the index in `folder` with the one that it replaced; twice is not at all.

    Returns:
        Where the one is now that was in `folder`.

    Raises:
        InputError: either is no index.
        OutputError: they cannot be exchanged.
    """
    root = Path(folder)
    read_header(root)
    before = previous_of(root)
    if not is_index(before):
        raise InputError(
            "there is no index that this one replaced",
            where=str(before),
            remedy="One is kept when an index is built again (rankfield index … --overwrite).",
        )
    read_header(before)
    # All three stay until the end, so that a crash loses neither; then it is finished here.
    newer = root.with_name(f"{root.name}.newer")
    if not is_index(newer) or read_header(newer) == read_header(root):
        _copy(root, newer)
        _copy(before, root)
    _copy(newer, before)
    shutil.rmtree(newer)
    return before


def _copy(source: Path, target: Path) -> None:
    """Make a folder the same as another one, in one step."""
    with new_folder(target, overwrite=True) as made:
        _link(source, made)
    sync(target.absolute().parent)


def _link(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.is_symlink():
            link_or_copy(path, target / path.relative_to(source))
