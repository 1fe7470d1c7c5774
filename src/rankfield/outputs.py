"""Whether an output can be written: nothing is there yet, and the disk takes it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rankfield.errors import OutputError, RankfieldError

__all__ = ["OR_OVERWRITE", "already_exists", "require_new", "require_writable", "storage_errors"]

OR_OVERWRITE = "Name another output, or overwrite it (--overwrite)."
"""The remedy of commands that have the option --overwrite."""
_OR_REMOVE = "Name another output, or remove it first."
_FULL = ("No space left on device", "Disk quota exceeded")
_REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    # a file stands where a folder is needed, or the name itself cannot be
    *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
)


@contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Turn a full disk or a refused write into an `OutputError` that names `target`."""
    try:
        yield
    except RankfieldError:  # it says what is the matter
        raise
    except Exception as error:
        # polars and safetensors report a full disk as errors of their own kind, with this text
        text = str(error)
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT) or any(sign in text for sign in _FULL):
            raise OutputError(
                "the disk is full; nothing was written",
                where=str(target),
                remedy="Free some space or choose another place.",
            ) from error
        if number in _REFUSED:
            # mkdir says "exists" of a file where the parent folder should be
            raise _cannot_write(
                target, errno.ENOTDIR if number == errno.EEXIST else number
            ) from error
        raise


def _cannot_write(target: Path, number: int) -> OutputError:
    return OutputError(
        f"cannot be written ({os.strerror(number)})",
        where=str(target),
        remedy="Choose a folder you may write to.",
    )


def already_exists(target: Path, remedy: str = _OR_REMOVE) -> OutputError:
    """Return the error of an output that exists."""
    return OutputError("already exists", where=str(target), remedy=remedy)


def require_new(*targets: Path | None, remedy: str = _OR_REMOVE) -> None:
    """Make sure that nothing is at any target, before long work; a link that leads nowhere counts.

    Raises:
        OutputError: a target exists.
    """
    for target in targets:
        if target is not None and os.path.lexists(target):
            raise already_exists(target, remedy)


def require_writable(target: Path) -> None:
    """Make sure that something can be made at `target`, before long work; nothing is written.

    Raises:
        OutputError: a folder above it is a file, or may not be written to.
    """
    parent = next(p for p in (target.absolute()).parents if p.exists())
    if not parent.is_dir():
        number = errno.ENOTDIR
    elif not os.access(parent, os.W_OK | os.X_OK):
        number = errno.EACCES
    else:
        return
    raise _cannot_write(target, number)
