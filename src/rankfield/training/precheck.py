"""Checks before the first step of what a run will need later."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from rankfield.encoders import Encoder, RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.micro_batches import batch_norms
from rankfield.encoders.rows import FrameRows
from rankfield.errors import ModelError, RecipeError
from rankfield.evaluation import DevSet
from rankfield.outputs import already_exists, require_writable
from rankfield.training.batches import PairBatches
from rankfield.training.checkpoint_folders import has_checkpoint

__all__ = ["check_batch_norm", "check_dev_images", "check_output", "single_image_error"]

_ONE_VALUE = "more than 1 value per channel"
"""In torch's message."""
_SIDES: tuple[Side, Side] = ("query", "document")


def check_output(out: Path, *, resume: bool) -> None:
    """Make sure that a run can write its folder, or go on in it.

    Raises:
        OutputError: a new run's folder exists, or it cannot be made.
        ModelError: there is nothing to resume from.
    """
    checkpoint = has_checkpoint(out)
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


def check_batch_norm(batches: PairBatches, steps: range) -> None:
    """Make sure that no process gets a single image in a step where batch norm needs two.

    The encoder must be in training mode. Field dropout is not considered.

    Raises:
        RecipeError: a process does.
    """
    images = [
        (place, column)
        for place, side in enumerate(_SIDES)
        for column in batches.columns[side]
        if column.field.modality == "image"
    ]
    if not images or not _needs_two_images(batches.model.encoder):
        return
    for step in steps:
        rows = batches.rows(step)[1:]
        for place, column in images:
            for rank in range(batches.processes):
                if len(column.codes_of(batches.share(rows[place], rank))) == 1:
                    raise _too_few_images(step)


def single_image_error(error: ValueError, step: int) -> RecipeError | None:
    """Return what to say of torch's refusal of a single image; None of any other error."""
    return _too_few_images(step) if _ONE_VALUE in str(error) else None


def _needs_two_images(encoder: Encoder) -> bool:
    """Return whether the encoder refuses one image: its last feature map may be a single pixel."""
    norms = batch_norms(encoder)
    transform = encoder.image_transform
    if transform is None or not norms:
        return False
    statistics = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]
    device = next(encoder.parameters()).device
    image = torch.zeros(1, *transform.shape, dtype=torch.uint8, device=device)
    try:
        with torch.no_grad():
            encoder.encode_image(image)
    except ValueError as error:
        if _ONE_VALUE not in str(error):
            raise
        return True
    finally:
        for buffer, before in statistics:
            buffer.copy_(before)
    return False


def _too_few_images(step: int) -> RecipeError:
    return RecipeError(
        f"batch norm needs two images; a process has one in step {step}",
        where="recipe, batch.size",
        remedy="Make the batch larger, or train with fewer processes.",
    )
