"""Paths and names that come from data: kept inside a folder, and never patterns."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from pathlib import Path

from rankfield.errors import InputError

__all__ = [
    "inside",
    "is_file",
    "literal_pattern",
    "read_bytes",
    "require_regular",
    "safe_name",
    "stays_inside",
]

_UNSAFE = re.compile(r"[^\w.\- ]")
_NAME_BYTES = 100
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10))}
_KERNEL = ("/proc", "/sys")


def stays_inside(path: str) -> bool:
    """Return whether `path` is relative and does not climb out of the folder it starts from."""
    parts = Path(os.path.normpath(path)).parts
    absolute = Path(path).is_absolute() or bool(Path(path).drive)
    return not absolute and parts[:1] != ("..",) and "\0" not in path


def inside(folder: Path, path: str) -> Path | None:
    """Return `folder / path`, or None if it leads out of the folder, through links too.

    A path without links and ".." costs one look at each of its parts, and none at the folder's.
    A file that is missing is no reason to refuse it.
    """
    if not stays_inside(path):
        return None
    place = os.fspath(folder)
    parts = Path(path).parts
    doubtful = ".." in parts
    try:
        for part in () if doubtful else parts:
            place = f"{place}{os.sep}{part}"
            if stat.S_ISLNK(os.lstat(place).st_mode):
                doubtful = True
                break
    except (OSError, ValueError):
        pass  # missing, or no name that a file can have: whoever opens it will say so
    if doubtful:
        root = os.path.realpath(folder)
        real = os.path.realpath(f"{root}{os.sep}{path}")
        if os.path.commonpath([root, real]) != root:
            return None
    return folder / path


def is_file(path: Path) -> bool:
    """Return whether there is such a file; there is none of a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long; a null character
        return False


def require_regular(path: Path, kind: type[InputError] = InputError) -> int:
    """Return the size of a regular file in bytes.

    Raises:
        InputError: a pipe, socket or device, or a file that the kernel makes up (/proc,
            /sys). It is of the class `kind`.
        OSError: there is no such file, it is a folder, or it cannot be looked at.
    """
    state = path.stat()
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    real = os.path.realpath(path)
    if not stat.S_ISREG(state.st_mode) or real.startswith(tuple(f"{k}/" for k in _KERNEL)):
        raise kind(
            "not a regular file (a pipe, socket or device)",
            where=str(path),
            remedy="Replace it with the file itself.",
        )
    return state.st_size


def read_bytes(path: Path, limit: int, kind: type[InputError] = InputError) -> bytes:
    """Return the contents of a regular file of at most `limit` bytes.

    Raises:
        InputError: as `require_regular`, or the file is larger. It is of the class `kind`.
        OSError: there is no such file, or it cannot be read.
    """
    size = require_regular(path, kind)
    if size <= limit:
        with path.open("rb") as file:
            data = file.read(limit + 1)  # it may have grown
        size = len(data)
    if size > limit:
        raise kind(
            f"{size:,} bytes; at most {limit:,} are read",
            where=str(path),
            remedy="Is it the right file?",
        )
    return data


def safe_name(name: str) -> str:
    """Return a name for a file or folder: `name` itself if it is harmless, else made so.

    Letters, digits, "_", "-", "." and blanks stay; a name that had others, begins or ends with a
    dot or a blank, is empty, long, or a device of Windows gets eight digits of its hash, so that
    two names stay two.
    """
    kept = _UNSAFE.sub("_", name).strip(". ")
    while len(kept.encode()) > _NAME_BYTES:
        kept = kept[:-1]
    if kept and kept == name and kept.partition(".")[0].lower() not in _DEVICES:
        return name
    return f"{kept or 'unnamed'}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"


def literal_pattern(path: Path) -> str:
    """Return a path for DuckDB with its wildcards *, ? and [ escaped: it matches only itself.

    Raises:
        InputError: a backslash beside such a sign, which cannot be written as a pattern.
    """
    text = str(path)
    if not any(sign in text for sign in "*?["):
        return text
    if "\\" in text:
        raise InputError(
            "the path has a backslash and one of *, ? and [",
            where=text,
            remedy="Rename the file or its folder.",
        )
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in text)
