"""Mining hard negatives anew while training, with the model as it is by then."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.modes import evaluating
from rankfield.schema import RankingDataset
from rankfield.training.mine import MineSettings, mine
from rankfield.training.negatives import NegativesSection, save_negatives

__all__ = ["latest_negatives", "refresh_negatives"]

_KEPT = 10
_NAME = re.compile(r"step-(\d{6,})\.parquet")


def refresh_negatives(
    model: RankingModel,
    dataset: RankingDataset,
    section: NegativesSection,
    out_folder: Path,
    step: int,
) -> Path:
    """Mine with the current model and return `out_folder/negatives/step-000400.parquet`.

    The file is replaced whole. Training modes and torch's random state are as before. At least ten
    negatives a query are kept, so that each step can draw others.

    Raises:
        OutputError: it cannot be written.
        DataError: an embedding that is not finite: the training has diverged.
    """
    settings = MineSettings(
        per_query=max(_KEPT, section.per_query),
        last=section.last,
        margin=section.margin,
        relative_margin=section.relative_margin,
        near_duplicate=section.near_duplicate,
    )
    devices = [model.device] if model.device.type == "cuda" else []
    with evaluating(model), torch.random.fork_rng(devices=devices):
        mined = mine(model, dataset, settings, device=str(model.device))
    path = out_folder / "negatives" / f"step-{step:06d}.parquet"
    save_negatives(mined, path, overwrite=True)
    return path


def latest_negatives(out_folder: Path, step: int) -> Path | None:
    """Return the last file that `refresh_negatives` wrote at or before `step`; None without one.

    A run that is resumed at `step` goes on with it; files of later steps belong to the part of the
    run that is done anew.
    """
    found = {
        int(match[1]): path
        for path in (out_folder / "negatives").glob("step-*.parquet")
        if (match := _NAME.fullmatch(path.name))
    }
    reached = [number for number in found if number <= step]
    return found[max(reached)] if reached else None
