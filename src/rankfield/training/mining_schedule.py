"""Which hard negatives a run has at which step: those of its file, then those it mines itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.modes import evaluating
from rankfield.schema import RankingDataset
from rankfield.training.mining import mine
from rankfield.training.negatives import NegativesSection, load_negatives, save_negatives
from rankfield.training.sharding import WholeModel

__all__ = ["MiningSchedule", "forget_negatives", "latest_negatives", "refresh_negatives"]

_NAME = re.compile(r"step-(\d{6,})\.parquet")


class MiningSchedule:
    """The negatives of a run from step to step, and mining them again while it trains.

    Args:
        section: of the recipe.
        dataset: what is trained on.
        out: the folder of the run.
        resume: whether the run goes on, with negatives that it mined before.

    Raises:
        DataError: a file of the recipe that cannot be used.
    """

    def __init__(
        self, section: NegativesSection, dataset: RankingDataset, out: Path, *, resume: bool
    ) -> None:
        self.section, self.dataset, self.out = section, dataset, out
        checked_now = section.file and not (resume and section.refresh_every)
        self._given = load_negatives(section.file, dataset) if checked_now else None

    def spans(
        self, whole: WholeModel, accelerator: Any, first: int, total: int
    ) -> Iterator[tuple[range, pl.DataFrame | None]]:
        """Yield the steps from `first` to `total` in parts, each with its negatives.

        Where a refresh is due, the main process mines before the part is yielded.

        Raises:
            OutputError, DataError: as `refresh_negatives` and `load_negatives`.
        """
        refresh_every = self.section.refresh_every
        every = refresh_every or total
        while first < total:
            # A file serves until the first refresh: an untrained model would find nothing harder.
            if refresh_every and first % every == 0 and (first or not self.section.file):
                with whole.current() as model:
                    if accelerator.is_main_process:
                        refresh_negatives(model, self.dataset, self.section, self.out, first)
                accelerator.wait_for_everyone()
            end = min(total, (first // every + 1) * every)
            yield range(first, end), self._negatives(first)
            first = end

    def mined(self, step: int) -> Path | None:
        """Return the file mined by this run that a checkpoint of this step depends on, if any."""
        return latest_negatives(self.out, step) if self.section.refresh_every else None

    def _negatives(self, step: int) -> pl.DataFrame | None:
        mined = self.mined(step)
        if mined is None and self._given is not None:
            return self._given
        path = str(mined or self.section.file)
        return load_negatives(path, self.dataset) if path else None


def refresh_negatives(
    model: RankingModel,
    dataset: RankingDataset,
    section: NegativesSection,
    out_folder: Path,
    step: int,
) -> Path:
    """Mine with the current model and return `out_folder/negatives/step-000400.parquet`.

    The file is replaced whole. Training modes and torch's random state do not change. At least ten
    negatives per query are kept, so that each step can draw others.

    Raises:
        OutputError: it cannot be written.
        DataError: an embedding that is not finite: the training has diverged.
    """
    devices = [model.device] if model.device.type == "cuda" else []
    with evaluating(model), torch.random.fork_rng(devices=devices):
        mined = mine(model, dataset, section.mining(), device=str(model.device))
    path = out_folder / "negatives" / f"step-{step:06d}.parquet"
    save_negatives(mined, path, overwrite=True)
    return path


def latest_negatives(out_folder: Path, step: int) -> Path | None:
    """Return the last file that `refresh_negatives` wrote at or before `step`; None without one.

    A run that is resumed at `step` goes on with it; files of later steps belong to the part of the
    run that is repeated.
    """
    found = _mined_files(out_folder)
    reached = [number for number in found if number <= step]
    return found[max(reached)] if reached else None


def forget_negatives(out_folder: Path, step: int, used: Collection[str]) -> None:
    """Remove what was mined at `step` and later, for a run that goes on from there.

    It mines those again, and perhaps not the same: by another number of processes. Files whose
    names are in `used` stay.
    """
    for number, path in _mined_files(out_folder).items():
        if number >= step and path.name not in used:
            path.unlink()


def _mined_files(out_folder: Path) -> dict[int, Path]:
    """Return step → file."""
    return {
        int(match[1]): path
        for path in (out_folder / "negatives").glob("step-*.parquet")
        if (match := _NAME.fullmatch(path.name))
    }
