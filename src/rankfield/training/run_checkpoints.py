"""The checkpoints of a run: written on its way, and gone on from with all that belongs to them."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rankfield.files import new_file, new_folder, write_json
from rankfield.outputs import storage_errors
from rankfield.terminal import echo
from rankfield.training.accelerator import from_main_process
from rankfield.training.average import WeightAverage
from rankfield.training.checkpoint import Progress, Snapshot, load_checkpoint
from rankfield.training.checkpoint_folders import FOLDER, found_checkpoint, set_aside
from rankfield.training.checkpoint_writer import CheckpointWriter
from rankfield.training.micro_batching import free_bytes
from rankfield.training.mining_schedule import forget_negatives
from rankfield.training.run_inputs import file_fingerprint
from rankfield.training.run_log import RunLog
from rankfield.training.sharded_checkpoint import load_sharded_checkpoint, save_shards

__all__ = ["RunCheckpoints"]

_SPARE = 2
"""Copies of the state that must fit into the free memory for one to be made."""


class RunCheckpoints:
    """Writes the checkpoints of a run beside the training, and finds the one to go on from.

    A checkpoint holds, beside weights, optimiser and progress, all of the run's folder that
    changes with the steps and that a resumed run reads: the best model so far, and the negatives
    that the run mined. Going on puts them back as they were.

    Args:
        out: the folder of the run.
        kept: the folder of its best model so far.
        keep: how many checkpoints stay.
        log: of the run.
        accelerator: accelerate's.
        resume: whether the run goes on.
        fsdp: whether each process writes its part.

    Raises:
        ModelError: no checkpoint is whole.
    """

    def __init__(
        self,
        out: Path,
        kept: Path,
        *,
        keep: int,
        log: RunLog,
        accelerator: Any,
        resume: bool,
        fsdp: bool = False,
    ) -> None:
        self.out, self.kept, self.log, self.accelerator = out, kept, log, accelerator
        self._writer = CheckpointWriter(out, keep)
        self._fsdp = fsdp
        self._found = found_checkpoint(out, accelerator) if resume else None
        self._pauses: dict[int, float] = {}

    def load(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        expected: Progress,
        average: WeightAverage | None,
    ) -> Progress:
        """Read the checkpoint that was found, and put the run's folder back to its step.

        Newer checkpoints that are damaged are set aside, which the terminal and the log say.

        Raises:
            ModelError: as `load_checkpoint`.
        """
        assert self._found is not None
        found = self._found.path
        if self._fsdp:
            progress = load_sharded_checkpoint(
                found, model, optimizer, expected, average, several=self._several
            )
        else:
            progress = load_checkpoint(found, model, optimizer, expected, average)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            damaged = {set_aside(path): wrong for path, wrong in self._found.damaged.items()}
            self._put_back(found, progress)
            self.log.cut(progress.step)
            if damaged:
                self._say(damaged, progress.step)
        self.accelerator.wait_for_everyone()
        return progress

    def write(self, snapshot: Snapshot, mined: Path | None, *, wait: bool) -> None:
        """Write a checkpoint; call it in the main process.

        If the memory holds a copy of the state, the training goes on meanwhile.

        Args:
            snapshot: the state.
            mined: the file of negatives that the run mined and now uses.
            wait: whether to return only when it is written.

        Raises:
            OutputError: it, or the one before, cannot be written.
        """
        started = time.monotonic()
        self.wait()
        step = int(snapshot.progress["step"])
        beside = not wait and _SPARE * snapshot.bytes < free_bytes(torch.device("cpu"))
        state = snapshot.copied() if beside else snapshot

        def fill(folder: Path) -> None:
            state.write(folder)
            self._add_kept(folder, mined)

        self.log.sync()
        self._writer.write(step, fill, beside=beside)
        self._pauses[step] = time.monotonic() - started
        self.note()

    def write_shards(
        self, tensors: dict[str, Tensor], progress: Progress, mined: Path | None
    ) -> None:
        """Write a checkpoint of which each process has a part; all must call it.

        Raises:
            OutputError: it cannot be written.
        """
        started = time.monotonic()
        told = False

        def fill(folder: Path) -> None:
            nonlocal told
            told = bool(from_main_process(folder.name, self.accelerator))
            save_shards(tensors, folder, several=self._several)
            write_json(folder / "progress.json", asdict(progress))
            self._add_kept(folder, mined)

        with storage_errors(self.out):
            if not self.accelerator.is_main_process:
                name = from_main_process("", self.accelerator)
                if name:
                    save_shards(tensors, self.out / FOLDER / name, several=True)
                return
            try:
                self.log.sync()
                self._writer.write(progress.step, fill, beside=False)
            finally:
                if not told:  # the others wait to hear where
                    from_main_process("", self.accelerator)
        self._pauses[progress.step] = time.monotonic() - started
        self.note()

    @property
    def _several(self) -> bool:
        return bool(self.accelerator.num_processes > 1)

    def _add_kept(self, folder: Path, mined: Path | None) -> None:
        if self.kept.is_dir():
            shutil.copytree(self.kept, folder / "best")
        if mined is not None:
            (folder / "negatives").mkdir()
            shutil.copyfile(mined, folder / "negatives" / mined.name)

    def note(self) -> None:
        """Log a checkpoint that has been written since the last call.

        Raises:
            OutputError: it could not be written.
        """
        written = self._writer.written()
        if written is not None:
            seconds = {
                "write_seconds": round(written.seconds, 3),
                "pause_seconds": round(self._pauses.pop(written.step), 3),
            }
            self.log.note("checkpoint", written.step, {"name": written.path.name, **seconds})

    def wait(self) -> None:
        """Return when nothing is being written: only then may the best model change.

        Raises:
            OutputError: a checkpoint could not be written.
        """
        self._writer.wait()
        self.note()

    def _put_back(self, checkpoint: Path, progress: Progress) -> None:
        """Make the best model and the mined negatives those of the checkpoint."""
        if (checkpoint / "best").is_dir():
            with new_folder(self.kept, overwrite=True) as temporary:
                shutil.copytree(checkpoint / "best", temporary, dirs_exist_ok=True)
        for name, fingerprint in progress.mined.items():
            source, target = (f / "negatives" / Path(name).name for f in (checkpoint, self.out))
            if source.is_file() and file_fingerprint(target) != fingerprint:
                with new_file(target) as temporary:
                    shutil.copyfile(source, temporary)
        forget_negatives(self.out, progress.step, set(progress.mined))

    def _say(self, damaged: dict[Path, str], step: int) -> None:
        for path, wrong in damaged.items():
            echo(f"{path}: this checkpoint is damaged, and was set aside: {wrong}", err=True)
        echo(f"{self.out}: going on from step {step:,}, the last whole checkpoint", err=True)
        names = {path.name: wrong for path, wrong in damaged.items()}
        self.log.note("damaged checkpoints", step, {"damaged": names})
