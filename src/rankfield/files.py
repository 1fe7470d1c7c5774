"""Atomic writing: to a temporary name beside the target, then a rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rankfield.errors import InputError, OutputError
from rankfield.outputs import require_new, storage_errors
from rankfield.parsing import parse_json
from rankfield.paths import read_bytes
from rankfield.unicode_text import decode_utf8, refuse_halves

__all__ = [
    "MAX_JSON",
    "file_sha256",
    "json_text",
    "link_or_copy",
    "new_file",
    "new_folder",
    "no_follow",
    "open_regular",
    "read_json",
    "read_json_object",
    "refuse_others",
    "remove_entry",
    "remove_stale",
    "remove_unused",
    "scratch_prefix",
    "usual_mode",
    "write_json",
]

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
MAX_JSON = 1 << 28
"""Bytes of a JSON file that is read whole."""


@contextmanager
def new_folder(target: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` when the block succeeds.

    On any exception, an interrupt too, the temporary folder is removed and `target` is untouched.
    What a killed process left is removed when the same target is written again.

    Raises:
        OutputError: `target` exists and `overwrite` is false, or it cannot be written.
    """
    path = Path(target)
    with storage_errors(path):
        if not overwrite:
            require_new(path)
        made = _make_parents(path)
        remove_stale(path)
        temporary = Path(tempfile.mkdtemp(prefix=scratch_prefix(path), dir=path.parent))
        try:
            temporary.chmod(usual_mode(0o777))
            with _in_use(temporary):
                yield temporary
                _replace_folder(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            _remove_empty(made)
            raise


def _make_parents(path: Path) -> list[Path]:
    """Make the folders above `path` and return those that were not there, deepest first."""
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def scratch_prefix(path: Path) -> str:
    """Return how the name of something half-written begins: it says who writes it."""
    return f".{path.name}.{_host()}-{os.getpid()}-"


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def remove_stale(path: Path) -> None:
    """Remove what this user's processes on this machine left half-written when they were killed."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{_host()}-(\d+)-\w+")
    for found in path.parent.iterdir():
        match = pattern.fullmatch(found.name)
        if match is None or found.is_symlink() or _is_running(int(match[1])):
            continue
        # containers that share a folder may share the host's name, and not the process numbers
        remove_unused(found)


def remove_unused(path: Path) -> None:
    """Remove something half-written of this user's that no running process holds a lock on."""
    if not path.is_symlink() and _is_own(path) and not _is_in_use(path):
        remove_entry(path)


def _is_own(path: Path) -> bool:
    with suppress(OSError):
        return os.name == "nt" or path.lstat().st_uid == os.geteuid()
    return False  # it has gone meanwhile


@contextmanager
def _in_use(path: Path) -> Iterator[None]:
    """Hold a lock on something half-written, where the file system has locks."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # pragma: no cover  Windows opens no folders
        yield
        return
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _is_in_use(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed; return False if another process has it.

    Where the file system or the machine has no locks, nothing is locked.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover  not on Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
    return True


def remove_entry(path: Path) -> None:
    """Remove a folder with all that is in it, a file, or a link but not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _is_running(process: int) -> bool:
    if os.name == "nt":  # there the question itself would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _replace_folder(temporary: Path, path: Path) -> None:
    """Rename `temporary` to `path`; an old folder there steps aside, and back on failure."""
    if not path.exists():
        temporary.rename(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent)) / "old"
    path.rename(aside)
    try:
        temporary.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    finally:
        shutil.rmtree(aside.parent, ignore_errors=True)


@contextmanager
def new_file(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `target` when the block succeeds.

    Raises:
        OutputError: the file cannot be written or the disk is full.
    """
    path = Path(target)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path)
        handle, name = tempfile.mkstemp(prefix=scratch_prefix(path), dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            temporary.chmod(usual_mode(0o666))
            with _in_use(temporary):
                yield temporary
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def refuse_others(descriptor: int, path: Path) -> None:
    """Lock an open file until it is closed.

    Raises:
        OutputError: another process has it.
    """
    if not _lock(descriptor):
        raise OutputError(
            "another run is writing it",
            where=str(path),
            remedy="Wait for that run, or name another output.",
        )


def open_regular(path: str, flags: int, *, folder: int | None = None) -> int:
    """Open a regular file as `os.open` does, never what a link leads to.

    Args:
        path: the file; its name alone if `folder` is given.
        flags: those of `os.open`.
        folder: descriptor of the open folder that it is in.

    Raises:
        OutputError: it is a link or a special file.
        OSError: it cannot be opened.
    """
    try:
        # O_NONBLOCK: a pipe without a reader would wait for ever
        found = os.open(path, flags | _NO_FOLLOW, 0o666, dir_fd=folder)
        regular = stat.S_ISREG(os.fstat(found).st_mode)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        found, regular = -1, False
    if not regular:
        if found >= 0:
            os.close(found)
        raise OutputError(
            "expected a regular file, found a link or a special file",
            where=path,
            remedy="Move it away.",
        )
    return found


def no_follow(path: str, flags: int) -> int:
    """`open_regular`, for `open(…, opener=no_follow)`."""
    return open_regular(path, flags)


def usual_mode(mode: int) -> int:
    """Return the permissions that the process's umask leaves of `mode`."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link if the file system can, else a copy.

    A copy keeps the time of change, as a link does: fingerprints of images read it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # a hard link to a symbolic link would be a symbolic link that may lead nowhere from here
    source = source.resolve() if source.is_symlink() else source
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        state = source.stat()
        os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal digits, read piece by piece.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(target: str | Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically."""
    with new_file(target) as temporary:
        temporary.write_text(json_text(value) + "\n", "utf-8")


def json_text(value: Any) -> str:
    """Return `value` as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def read_json(source: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: there is no such regular file, it has more than `MAX_JSON` bytes, it is not
            UTF-8, not JSON, or holds half of a surrogate pair.
    """
    path = Path(source)
    try:
        text = decode_utf8(read_bytes(path, MAX_JSON), where=str(path), form="JSON")
        value = parse_json(text)
    except FileNotFoundError:
        raise InputError("there is no such file", where=str(path)) from None
    except ValueError as error:
        raise InputError(f"not valid JSON ({error})", where=str(path)) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error
    refuse_halves(text, value, where=str(path))
    return value


def read_json_object(source: str | Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: as `read_json`, or it holds something else.
    """
    value = read_json(source)
    if not isinstance(value, dict):
        found = f"expected a JSON object, found {json_text(value):.40}"
        raise InputError(found, where=str(source))
    return value
