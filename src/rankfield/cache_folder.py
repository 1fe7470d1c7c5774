"""The folder of what can be computed again: entries that are whole and undamaged, or made again."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rankfield.errors import InputError, OutputError
from rankfield.files import json_text, new_folder, open_regular, read_json_object, remove_entry
from rankfield.outputs import storage_errors
from rankfield.terminal import echo

__all__ = ["CacheEntry", "cache_entry", "temporary_entry", "user_cache"]

_VARIABLE = "RANKFIELD_CACHE"
_LIST = "entry.json"
_BLOCK = 1 << 22


def user_cache() -> Path | None:
    """Return the folder that `RANKFIELD_CACHE` names, else the user's own; None without a home."""
    named = os.environ.get(_VARIABLE)
    if named:
        return Path(named)
    folder = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(folder) if folder else Path.home() / ".cache") / "rankfield"
    except RuntimeError:  # no home
        return None


class CacheEntry:
    """A folder of files that were written together and do not change.

    Its list, `entry.json`, is written last and holds the size and the CRC-32 of each file.
    """

    def __init__(self, path: Path, *, temporary: bool = False) -> None:
        self.path = path
        self.temporary = temporary
        if temporary:
            weakref.finalize(self, _remove_own, path, os.getpid())

    def file(self, name: str) -> Path:
        """Return the path of a file of the entry."""
        return self.path / name


def cache_entry(
    name: str,
    make: Callable[[Path], None],
    *,
    family: str = "",
    siblings: tuple[str, int] = ("", 0),
    temporary: bool = True,
) -> CacheEntry:
    """Return the entry of this name in the user's cache; made if it is missing or damaged.

    Of several processes that want it, one makes it and the others wait. Where the cache cannot be
    written, the entry lies in a temporary folder, which goes with the process.

    Args:
        name: a file name that says all that the contents depend on.
        make: writes the files into a folder that is there.
        family: entries whose names begin so are those of former states: they are removed when
            this one is made. None if empty.
        siblings: how the names of like entries begin, and how many of them are kept: those used
            last.

        temporary: whether a temporary folder takes the place of a cache that cannot be written.

    Raises:
        OutputError: neither the cache nor a temporary folder can be written.
    """
    folder = user_cache()
    if folder is None and not temporary:
        raise OutputError("there is no folder for it: the user has no home", where="cache")
    if folder is not None:
        try:
            return _kept(folder, name, make, family, siblings)
        except OutputError as error:
            if not temporary:
                raise
            _note(f"note: the cache {folder} is not used: {error.problem}.")
    return temporary_entry(make)


def temporary_entry(make: Callable[[Path], None]) -> CacheEntry:
    """Return an entry that no other process has, and that goes with the object.

    Raises:
        OutputError: the folder for temporary files cannot be written.
    """
    place = Path(tempfile.gettempdir())
    with storage_errors(place):
        entry = CacheEntry(Path(tempfile.mkdtemp(prefix="rankfield-")), temporary=True)
        make(entry.path)
    return entry


@functools.cache
def _note(text: str) -> None:
    """Say something once."""
    echo(text, err=True)


def _kept(
    folder: Path,
    name: str,
    make: Callable[[Path], None],
    family: str,
    siblings: tuple[str, int],
) -> CacheEntry:
    path = folder / name
    if path.is_symlink():
        raise OutputError("a link is in the place of an entry", where=str(path))
    if _is_whole(path):
        _mark_used(path)
        return CacheEntry(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{name}.lock"):
            if not _is_whole(path):  # another process may have just made it
                with new_folder(path, overwrite=True) as made:
                    make(made)
                    _write_list(made)
                if family:
                    _remove_family(folder, family, name)
                if siblings[1]:
                    _keep_newest(folder, *siblings)
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", where=str(folder)) from error
    return CacheEntry(path)


def _write_list(folder: Path) -> None:
    # Nothing waits for the disk: what a loss of power damages is noticed, and made again.
    files = {
        path.name: {"bytes": path.stat().st_size, "crc32": _crc(path)}
        for path in sorted(folder.iterdir())
    }
    (folder / _LIST).write_text(json_text({"files": files}), "utf-8")


def _is_whole(path: Path) -> bool:
    """Return whether an entry is there with all its files as they were written."""
    try:
        files: dict[str, Any] = read_json_object(path / _LIST)["files"]
        return all(
            _is_plain(path / name, said["bytes"]) and _crc(path / name) == said["crc32"]
            for name, said in files.items()
        )
    except (InputError, OSError, KeyError, TypeError, AttributeError):
        return False


def _is_plain(path: Path, size: int) -> bool:
    return not path.is_symlink() and path.is_file() and path.stat().st_size == size


def _crc(path: Path) -> int:
    found = 0
    descriptor = open_regular(str(path), os.O_RDONLY)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  a descriptor
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def _mark_used(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path / _LIST)


def _remove_family(folder: Path, family: str, kept: str) -> None:
    for path in folder.iterdir():
        if path.name.startswith(family) and not path.name.startswith(kept):
            remove_entry(path)


def _keep_newest(folder: Path, prefix: str, count: int) -> None:
    found = []
    for path in folder.glob("*"):
        if path.name.startswith(prefix):
            with contextlib.suppress(OSError):  # it is being made, or is a lock
                found.append(((path / _LIST).stat().st_mtime_ns, path))
    for _, path in sorted(found)[:-count]:
        remove_entry(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait for the lock of an entry, and hold it; the file goes with the last that waits."""
    descriptor = open_regular(str(path), os.O_RDWR | os.O_CREAT)
    try:
        try:
            import fcntl
        except ImportError:  # pragma: no cover  not on Windows
            yield
            return
        with contextlib.suppress(OSError):  # a file system without locks: both make it
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


def _remove_own(path: Path, process: int) -> None:
    if os.getpid() == process:  # a fork must not remove what it shares
        shutil.rmtree(path, ignore_errors=True)
