"""What a run will need later, looked at before its first step."""

from __future__ import annotations

import os
from pathlib import Path

from rankfield.encoders import RankingModel
from rankfield.encoders.rows import FrameRows
from rankfield.errors import ModelError
from rankfield.evaluation import DevSet
from rankfield.outputs import already_exists, require_writable

__all__ = ["check_dev_images", "check_output"]


def check_output(out: Path, *, resume: bool) -> None:
    """Make sure that a run can write its folder, or go on in it.

    Raises:
        OutputError: a new run's folder exists, or it cannot be made.
        ModelError: there is nothing to resume from.
    """
    checkpoint = (out / "checkpoint" / "progress.json").is_file()
    if resume and not checkpoint:
        there = os.path.lexists(out)
        raise ModelError(
            "there is no checkpoint to resume from",
            where=str(out),
            remedy="Start a run without --resume" + (", in another folder." if there else "."),
        )
    if not resume and os.path.lexists(out):
        raise already_exists(
            out,
            "Name another folder"
            + (", or add --resume to go on with that run." if checkpoint else ", or remove it."),
        )
    require_writable(out)


def check_dev_images(dev: DevSet | None, model: RankingModel) -> None:
    """Make sure that all images that dev is measured with are there.

    Raises:
        ImageError: one is missing.
    """
    if dev is None:
        return
    for view in dev.views:
        FrameRows.of(dev.dataset, view.queries, "query", model.query_fields).require_images(0)
        FrameRows.of(dev.dataset, view.documents, "document", model.document_fields).require_images(
            0
        )
