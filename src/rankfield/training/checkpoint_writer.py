"""Checkpoints written beside the training: atomic, durable, the newest ones kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from rankfield.durable import sync, sync_tree
from rankfield.errors import OutputError
from rankfield.files import new_folder
from rankfield.outputs import storage_errors
from rankfield.training.checkpoint_folders import has_checkpoint, next_checkpoint, prune
from rankfield.training.manifest import write_manifest

__all__ = ["CheckpointWriter", "WrittenCheckpoint"]


@dataclass(frozen=True)
class WrittenCheckpoint:
    """A checkpoint that is on the disk, and the seconds from its begin until then."""

    path: Path
    step: int
    seconds: float


class CheckpointWriter:
    """Writes the checkpoints of a run, one at a time.

    A checkpoint appears in one rename, after its files, with a manifest, are on the disk; then the
    older ones beyond the newest `keep` go. A write that fails leaves all of them.

    Args:
        out: the folder of the run.
        keep: how many checkpoints stay.
    """

    def __init__(self, out: Path, keep: int) -> None:
        self.out, self.keep = out, keep
        self._thread: Thread | None = None
        self._written: WrittenCheckpoint | None = None
        self._error: BaseException | None = None

    def write(self, step: int, fill: Callable[[Path], None], *, beside: bool) -> None:
        """Write the checkpoint after so many steps.

        Args:
            step: of the checkpoint.
            fill: writes its files into a folder.
            beside: whether it is done in a thread, by which `wait` comes back when it is written.

        Raises:
            OutputError: it cannot be written (if not `beside`).
        """
        self.wait()
        if beside:
            self._thread = Thread(target=self._write, args=(step, fill), name="checkpoint")
            self._thread.start()
        else:
            self._write(step, fill)
            self.wait()

    def wait(self) -> None:
        """Return when nothing is being written any more.

        Raises:
            OutputError: what was being written cannot be.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def written(self) -> WrittenCheckpoint | None:
        """Return a checkpoint that is on the disk since the last call, without waiting.

        Raises:
            OutputError: it could not be written.
        """
        if self._thread is not None and not self._thread.is_alive():
            self.wait()
        found, self._written = self._written, None
        return found

    def _write(self, step: int, fill: Callable[[Path], None]) -> None:
        started = time.monotonic()
        try:
            path = next_checkpoint(self.out, step)
            with storage_errors(self.out):
                with new_folder(path) as temporary:
                    fill(temporary)
                    write_manifest(temporary)
                    sync_tree(temporary)
                for folder in (path.parent, self.out):
                    sync(folder)
                self._written = WrittenCheckpoint(path, step, time.monotonic() - started)
                prune(self.out, self.keep)
        except OutputError as error:
            remedy = error.remedy
            if has_checkpoint(self.out):
                remedy = f"{remedy} Then go on with --resume from the last checkpoint.".strip()
            self._error = OutputError(error.problem, where=error.where, remedy=remedy)
        except BaseException as error:  # the training raises it
            self._error = error
