"""Commands run in this process and watched: what they open, start, import, write and print."""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import hashlib
import io
import os
import re
import struct
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from rankfield.cli.main import main

__all__ = ["Confined", "Said", "decoded_files"]

CANARY = "c4nary0f7hepr1vatef0lder"
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_PATHS = {
    *("open", "os.listdir", "os.scandir", "os.truncate", "os.remove", "os.rename", "os.link"),
    *("os.symlink", "os.mkdir", "os.rmdir", "os.chmod", "shutil.copyfile", "shutil.rmtree"),
}
_STARTS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.startfile"}
_CODE = (".pyc", ".so", ".pth")
_IN_ACCESS, _IN_MODIFY, _IN_OPEN = 0x1, 0x2, 0x20


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


class Confined:
    """A folder `root` with data of strangers (`theirs`), a working folder (`here`), and private
    files (`private`) that no command may open.

    `run` asserts that a command

    - ends with 0 or 2, and never with a traceback;
    - changes nothing in `root` but its outputs and a work folder of its own;
    - opens nothing in `private`, by whatever link or path, and tells nothing of it;
    - starts no program but this Python, and runs no code of `root`;
    - connects to nothing but the servers in `servers`;
    - prints no control characters.
    """

    def __init__(self, root: Path, servers: Sequence[int] = ()) -> None:
        self.root = Path(os.path.realpath(root))
        self.theirs, self.here = self.root / "theirs", self.root / "here"
        self.private = self.root / "private"
        self.ports = set(servers)
        for folder in (self.theirs, self.here, self.private / "deep"):
            folder.mkdir(parents=True)
        for name in ("secret.txt", "secret.csv", "secret.jsonl", "secret.toml", "deep/secret.txt"):
            (self.private / name).write_text(f"{CANARY} of {name}\n")
        Image.new("RGB", (40, 40), (12, 200, 34)).save(self.private / "secret.png")
        (self.here / "decoy.txt").write_text("whole")
        (self.theirs / "decoy.txt").write_text("whole")

    def run(
        self, *words: str | Path, outputs: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> Said:
        """Run `rankfield WORDS` in `here`; `outputs` are the names there that it may make."""
        before = self._state()
        with self.watched() as seen:
            said = _called([str(word) for word in words], env or {}, self.here)
        what = f"rankfield {' '.join(map(str, words))}\n{said.out}{said.err}"[-3000:]
        assert said.code in (0, 2), what
        assert "Traceback" not in said.out + said.err, what
        assert seen == [], f"{seen} {what}"
        allowed = [self.here / name for name in outputs]
        after = self._state()
        changed = {
            path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
        }
        for path in changed:
            work = path.relative_to(self.here).parts[0] if path.is_relative_to(self.here) else ""
            new = work.endswith(".partial") and self.here / work not in before
            assert new or any(path.is_relative_to(name) for name in allowed), f"{path} {what}"
        _assert_printable(said.out + said.err, what)
        for name, text in decoded_files([p for p in allowed if p.exists()]):
            assert CANARY not in text, f"{name}: {what}"
        assert CANARY not in said.out + said.err, what
        return said

    def _state(self) -> dict[Path, tuple[Any, ...]]:
        """Return path → what is there, contents of files too."""
        found: dict[Path, tuple[Any, ...]] = {}
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                path = Path(folder, name)
                stat = path.lstat()
                # outputs may be hard links to files of `theirs`, never to private ones
                links = stat.st_nlink if path.is_relative_to(self.private) else 0
                state: tuple[Any, ...] = (stat.st_mode, links)
                if path.is_symlink():
                    state += (os.readlink(path),)  # noqa: PTH115
                elif path.is_file() and stat.st_size < 1 << 24:
                    content = hashlib.sha256(path.read_bytes()).digest()
                    state += (stat.st_size, stat.st_mtime_ns, content)
                found[path] = state
        return found

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Yield what was seen that may not be; it is complete when the block ends."""
        seen: list[str] = []
        watch = _Inotify([p for p in self.private.rglob("*") if p.is_file()])
        _install()
        _Watcher.current = self._judge(seen)
        try:
            yield seen
        finally:
            _Watcher.current = None
            if watch.opened():
                seen.append("a private file was opened")

    def _judge(self, seen: list[str]) -> Any:
        def judge(event: str, given: tuple[Any, ...]) -> None:
            if event in _PATHS:
                paths = [os.path.realpath(os.fsdecode(p)) for p in given[:2] if _is_path(p)]
                for path in paths[: 2 if event in ("os.rename", "os.link") else 1]:
                    if path.startswith(f"{self.private}{os.sep}") or path == str(self.private):
                        seen.append(f"{event} {path}")
                    if path.endswith(_CODE) and path.startswith(f"{self.root}{os.sep}"):
                        seen.append(f"{event} {path}")
            elif event == "exec":
                if getattr(given[0], "co_filename", "").startswith(f"{self.root}{os.sep}"):
                    seen.append(f"code of {given[0].co_filename}")
            elif event in _STARTS:
                if os.fsdecode(given[0]) != sys.executable:
                    seen.append(f"{event} {given[:2]}")
            elif event == "socket.connect":
                address = given[1]
                if isinstance(address, tuple) and (
                    address[0] not in ("127.0.0.1", "::1") or address[1] not in self.ports
                ):
                    seen.append(f"connection to {address}")

        return judge


def _is_path(value: Any) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


class _Watcher:
    current: Any = None
    inside = threading.local()


_installed: list[bool] = []


def _install() -> None:
    """Add the audit hook; Python cannot take it away again, so it is added once."""
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_hook)


def _hook(event: str, given: tuple[Any, ...]) -> None:
    judge = _Watcher.current
    if judge is None or getattr(_Watcher.inside, "busy", False):
        return
    _Watcher.inside.busy = True
    try:
        judge(event, given)
    except (OSError, ValueError):  # no path that a file can have
        pass
    finally:
        _Watcher.inside.busy = False


class _Inotify:
    """Whether files were opened, by native code too: the kernel tells it of the file itself."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._descriptor = -1
        if sys.platform != "linux":
            return
        library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = library.inotify_init1(os.O_NONBLOCK)
        for file in files:
            mask = _IN_ACCESS | _IN_MODIFY | _IN_OPEN
            assert library.inotify_add_watch(self._descriptor, os.fsencode(file), mask) > 0

    def opened(self) -> bool:
        """Return whether one was opened since; it cannot be asked again."""
        if self._descriptor < 0:
            return False
        try:
            return len(os.read(self._descriptor, 4096)) >= struct.calcsize("iIII")
        except BlockingIOError:
            return False
        finally:
            os.close(self._descriptor)


def _called(words: list[str], env: dict[str, str], folder: Path) -> Said:
    out, err = io.StringIO(), io.StringIO()
    argv, old, environment = sys.argv, Path.cwd(), dict(os.environ)
    hook = threading.excepthook
    sys.argv = ["rankfield", *words]
    os.environ.update(env)
    os.chdir(folder)
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as stopped:
                code = stopped.code
    finally:
        sys.argv, threading.excepthook = argv, hook
        os.chdir(old)
        os.environ.clear()
        os.environ.update(environment)
    return Said(int(code or 0), out.getvalue(), err.getvalue())


def _assert_printable(text: str, what: str) -> None:
    found = _UNPRINTABLE.search(text)
    assert found is None, f"{found[0]!a} in {what!a}"


def decoded_files(places: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every file in files and folders; names count as texts too.

    Parquet and what is compressed is unpacked.
    """
    for place in places:
        for path in [place, *sorted(place.rglob("*"))] if place.is_dir() else [place]:
            yield str(path), str(path)
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 24:
                for text in _texts(path.name, path.read_bytes()):
                    yield str(path), text


def _texts(name: str, content: bytes) -> Iterator[str]:
    yield content.decode("utf-8", "ignore")
    if name.endswith(".parquet"):
        for column in pl.read_parquet(io.BytesIO(content)).get_columns():
            yield column.name
            yield "\n".join(map(str, column.to_list()))
    elif name.endswith(".gz"):
        yield from _texts(name[:-3], gzip.decompress(content))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from _texts(member, archive.read(member))
