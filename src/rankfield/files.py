"""Writing whole or not at all: to a temporary name beside the target, then rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rankfield.errors import InputError, OutputError

__all__ = [
    "link_or_copy",
    "new_file",
    "new_folder",
    "only_writer",
    "read_json",
    "refuse_others",
    "stays_inside",
    "storage_errors",
    "write_json",
]


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
            reason = os.strerror(errno.ENOTDIR if number == errno.EEXIST else number)
            raise OutputError(
                f"cannot be written ({reason})",
                where=str(target),
                remedy="Choose a folder you may write to.",
            ) from error
        raise


@contextmanager
def new_folder(target: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` when the block ends well.

    On any exception, an interrupt too, the temporary folder is removed and `target` is untouched.
    What a killed process left is removed when the same target is written again.

    Raises:
        OutputError: `target` exists and `overwrite` is false, or it cannot be written.
    """
    path = Path(target)
    with storage_errors(path):
        if (path.exists() or path.is_symlink()) and not overwrite:
            raise OutputError(
                "exists already", where=str(path), remedy="Name another output, or remove it first."
            )
        made = _make_parents(path)
        _remove_stale(path)
        temporary = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
        try:
            temporary.chmod(0o777 & ~_umask())
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


def _prefix(path: Path) -> str:
    """Return how the name of something half-written begins: it says who writes it."""
    return f".{path.name}.{_host()}-{os.getpid()}-"


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _remove_stale(path: Path) -> None:
    """Remove what processes of this machine left half-written when they were killed."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{_host()}-(\d+)-\w+")
    for found in path.parent.iterdir():
        match = pattern.fullmatch(found.name)
        if match is None or _is_running(int(match[1])):
            continue
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found, ignore_errors=True)
        else:
            with suppress(OSError):
                found.unlink()


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
    """Yield a temporary path that replaces `target` when the block ends well.

    Raises:
        OutputError: the file cannot be written or the disk is full.
    """
    path = Path(target)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        handle, name = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            temporary.chmod(0o666 & ~_umask())
            yield temporary
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def refuse_others(descriptor: int, path: Path) -> None:
    """Lock an open file or folder until it is closed.

    Raises:
        OutputError: another process has it.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover  not on Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise OutputError(
            "another run is writing it",
            where=str(path),
            remedy="Wait for that run, or name another output.",
        ) from None


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make a folder and keep other runs out of it until the block ends; it must stay till then.

    Raises:
        OutputError: another process is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        refuse_others(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link if the file system can, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # a hard link to a symbolic link would be a symbolic link that may lead nowhere from here
    source = source.resolve() if source.is_symlink() else source
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def stays_inside(path: str) -> bool:
    """Return whether `path` is relative and does not climb out of the folder it starts from."""
    parts = Path(os.path.normpath(path)).parts
    return not Path(path).is_absolute() and parts[:1] != ("..",)


def write_json(target: str | Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, whole or not at all."""
    with new_file(target) as temporary:
        temporary.write_text(
            json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
        )


def read_json(source: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: there is no such file, or it is not JSON.
    """
    path = Path(source)
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError("there is no such file", where=str(path)) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid JSON ({error})", where=str(path)) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error
