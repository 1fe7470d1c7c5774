"""Training records of both sides that the ranges of an int8 graph are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.rows import FrameRows
from rankfield.errors import InputError
from rankfield.publishing.fields_file import prefix
from rankfield.publishing.hugging_face_files import fixed_transform
from rankfield.publishing.options import PublishOptions
from rankfield.schema import Modality, RankingDataset

__all__ = ["calibration_texts", "calibration_values", "shared_out"]

_RECORDS = 256


@dataclass(frozen=True)
class _Values:
    """Values of one side's fields of a modality, and the rows that have them."""

    side: Side
    values: Sequence[str | bytes]
    rows: FrameRows


def calibration_values(
    model: RankingModel, options: PublishOptions, layout: str
) -> NDArray[np.float32]:
    """Return U × 3 × H × W normalised pixels of up to 256 training images.

    Raises:
        InputError: there is no data set, or its training records have no image.
        ImageError: one cannot be read.
    """
    transform = fixed_transform(model.encoder.image_transform)
    sides = _training_values(model, options, "image", layout)
    pixels = torch.cat([model.read_pixels(one.values, one.rows.image) for one in sides])
    found: NDArray[np.float32] = transform.normalise(pixels).contiguous().numpy()
    return found


def calibration_texts(model: RankingModel, options: PublishOptions, layout: str) -> list[str]:
    """Return up to 256 texts of training records, or those that the user gave, with prefixes.

    Raises:
        InputError: there is neither.
    """
    if options.dataset is None and options.texts:
        return [prefix(model, "document") + text for text in options.texts[:_RECORDS]]
    sides = _training_values(model, options, "text", layout)
    return [prefix(model, one.side) + str(value) for one in sides for value in one.values]


def _training_values(
    model: RankingModel, options: PublishOptions, modality: Modality, layout: str
) -> list[_Values]:
    """Return values of a modality, the same every time; of both sides, if both have any.

    A range that was measured on documents alone cuts off what only queries cause.
    """
    where = f"--as {layout}"
    if options.dataset is None:
        raise InputError(
            f"int8 needs training {modality}s to measure ranges on, and there is no data set",
            where=where,
            remedy="Give the data set: --data.",
        )
    sides = [
        _side_values(model, options.dataset, "query", modality),
        _side_values(model, options.dataset, "document", modality),
    ]
    found = [one for one in sides if one.values]
    if not found:
        raise InputError(
            f"no training record has any {modality}, on which the ranges of its int8 graph "
            "are measured",
            where=where,
            remedy="Choose the float32 layout.",
        )
    shares = shared_out([len(one.values) for one in found])
    return [
        replace(one, values=one.values[:share]) for one, share in zip(found, shares, strict=True)
    ]


def shared_out(counts: Sequence[int]) -> list[int]:
    """Return how many of 256 records are of each of two sides, or of one.

    Half of each; a side with fewer leaves its part to the other.
    """
    half = _RECORDS // len(counts)
    return [min(count, max(half, _RECORDS - (sum(counts) - count))) for count in counts]


def _side_values(
    model: RankingModel, dataset: RankingDataset, side: Side, modality: Modality
) -> _Values:
    """Return values of the training records of one side, at most 256."""
    key = "query_id" if side == "query" else "doc_id"
    table = dataset.queries if side == "query" else dataset.documents
    fields = [field for field in model.current_fields(side) if field.modality == modality]
    frame = table.filter(pl.col(key).is_in(dataset.training_judgments()[key].unique().implode()))
    chosen = np.random.default_rng(0).permutation(frame.height)[: 2 * _RECORDS]
    rows = FrameRows.of(dataset, frame[np.sort(chosen).tolist()], side, fields)
    found = [value for column in rows.columns(0, len(rows)) for value in column.values]
    values = [value for value in found if isinstance(value, str | bytes)]
    return _Values(side, values[:_RECORDS], rows)
