"""A run's work folder beside its output: made and marked by rankfield, or refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rankfield import __version__
from rankfield.errors import OutputError
from rankfield.files import (
    open_regular,
    refuse_others,
    remove_entry,
    remove_stale,
    scratch_prefix,
    usual_mode,
)
from rankfield.outputs import storage_errors

__all__ = ["WorkFolder", "work_folder"]

_MARK = ".rankfield.json"
_LONGEST_MARK = 4096
_STAGED = re.compile(r"staged-\w+")
_REMEDY = "Nothing in it was touched: move it away, or name another output."


class WorkFolder:
    """A folder that belongs to one run, locked while it is open.

    A mark in it says which command made it and which folder it is (its number in the file system):
    a link, somebody's folder, or one that an archive brought does not have that. It holds the
    entries `names` and what `staged` makes; nothing else in it is written or removed.

    Raises:
        OutputError: it is not such a folder, or another run has it open.
    """

    def __init__(self, path: Path, command: str, names: tuple[str, ...]) -> None:
        self.path, self._command, self._names = path, command, names
        self._folder = _open_folder(path)
        try:
            self._mark = self._open_mark()
        except BaseException:
            self._close_folder()
            raise

    def _open_mark(self) -> int:
        try:
            mark = self.opener(str(self.path / _MARK), os.O_RDWR)
        except (OSError, OutputError):
            raise _refused(self.path, f"`rankfield {self._command}` did not make it") from None
        try:
            refuse_others(mark, self.path)
            self._check(os.read(mark, _LONGEST_MARK))
        except BaseException:
            os.close(mark)
            raise
        return mark

    def _check(self, text: bytes) -> None:
        try:
            said = json.loads(text)
            command, number = said["command"], said["folder"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _refused(self.path, f"{_MARK} in it is damaged") from None
        if command != self._command:
            raise _refused(self.path, f"`rankfield {self._command}` did not make it")
        own = self.path.stat(follow_symlinks=False).st_ino
        if number != own:
            raise OutputError(
                "another's folder is in the way: it was copied or unpacked here",
                where=str(self.path),
                remedy=f'{_REMEDY} If it is your own copy, set "folder" to {own} in'
                f" {self.path / _MARK}.",
            )
        for entry in self.path.iterdir():
            if entry.is_symlink():
                raise _refused(self.path, f"the link {entry.name!r} is in it")

    def opener(self, path: str, flags: int) -> int:
        """Open a file of this folder, for `open(…, opener=…)`; links are not followed."""
        if self._folder is None:  # pragma: no cover  Windows
            return open_regular(path, flags)
        return open_regular(Path(path).name, flags, folder=self._folder)

    def staged(self) -> Path:
        """Make a new folder in this one, where an output can be written, and return its path.

        What an earlier run left half-written there is removed.
        """
        self._remove(lambda name: _STAGED.fullmatch(name) is not None)
        made = Path(tempfile.mkdtemp(prefix="staged-", dir=self.path))
        made.chmod(usual_mode(0o777))
        return made

    def clear(self) -> None:
        """Remove what the run has put here."""
        self._remove(lambda name: name in self._names or _STAGED.fullmatch(name) is not None)

    def _remove(self, chosen: Callable[[str], bool]) -> None:
        for path in list(self.path.iterdir()):
            if chosen(path.name):
                remove_entry(path)

    def remove(self) -> None:
        """Remove the folder; what others have put into it stays, and the folder then too."""
        self.clear()
        if [path.name for path in self.path.iterdir()] != [_MARK]:
            return
        aside = Path(tempfile.mkdtemp(prefix=scratch_prefix(self.path), dir=self.path.parent))
        try:
            # in one step: a killed run leaves no folder without its mark
            self.path.rename(aside / "done")
        except OSError:  # pragma: no cover  Windows
            shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)

    def close(self) -> None:
        """Let other runs open the folder."""
        os.close(self._mark)
        self._close_folder()

    def _close_folder(self) -> None:
        if self._folder is not None:
            os.close(self._folder)


def _open_folder(path: Path) -> int | None:
    """Open a folder that is one itself and belongs to this user; None where that cannot be."""
    if path.is_symlink():
        raise _refused(path, "it is a link")
    if not path.is_dir():
        raise _refused(path, "it is no folder")
    if os.open not in os.supports_dir_fd:  # pragma: no cover  Windows
        return None
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if os.fstat(folder).st_uid != os.geteuid():
        os.close(folder)
        raise _refused(path, "it belongs to another user")
    return folder


def _refused(path: Path, why: str) -> OutputError:
    return OutputError(f"another's folder is in the way: {why}", where=str(path), remedy=_REMEDY)


@contextmanager
def work_folder(
    path: Path, command: str, *, names: tuple[str, ...], make: bool = True
) -> Iterator[WorkFolder]:
    """Open a work folder and keep other runs out of it; it stays until `WorkFolder.remove`.

    Args:
        path: where it is.
        command: which command of rankfield it belongs to.
        names: the files and folders that the run puts there.
        make: whether it is made if there is none.

    Raises:
        OutputError: a link, another's folder or another run is there, or it cannot be made.
    """
    with storage_errors(path):
        if make and not os.path.lexists(path):
            _make(path, command)
        folder = WorkFolder(path, command, names)
    try:
        yield folder
    finally:
        folder.close()


def _make(path: Path, command: str) -> None:
    """Make the folder with its mark in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    made = Path(tempfile.mkdtemp(prefix=scratch_prefix(path), dir=path.parent))
    try:
        said = {"rankfield": __version__, "command": command, "folder": made.stat().st_ino}
        (made / _MARK).write_text(json.dumps(said) + "\n", "utf-8")
        made.rename(path)
    except BaseException as error:
        shutil.rmtree(made, ignore_errors=True)
        # another run may have just made it: which then is locked
        if not (isinstance(error, OSError) and os.path.lexists(path)):
            raise
