"""Training records that the ranges of an int8 graph are measured on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rankfield.encoders import RankingModel
from rankfield.encoders.rows import FrameRows
from rankfield.errors import InputError
from rankfield.publishing.hugging_face_files import fixed_transform
from rankfield.publishing.options import PublishOptions
from rankfield.schema import Modality

__all__ = ["calibration_texts", "calibration_values"]

_RECORDS = 256


def calibration_values(
    model: RankingModel, options: PublishOptions, layout: str
) -> NDArray[np.float32]:
    """Return U × 3 × H × W normalised pixels of up to 256 training images.

    Raises:
        InputError: there is no data set, or its training documents have no image.
        ImageError: one cannot be read.
    """
    values, rows = _training_values(model, options, "image", layout)
    transform = fixed_transform(model.encoder.image_transform)
    pixels = transform.normalise(model.read_pixels(values, rows.image))
    found: NDArray[np.float32] = pixels.contiguous().numpy()
    return found


def calibration_texts(model: RankingModel, options: PublishOptions, layout: str) -> list[str]:
    """Return up to 256 texts of training documents, or those that the user gave.

    Raises:
        InputError: there is neither.
    """
    if options.dataset is None and options.texts:
        return list(options.texts)[:_RECORDS]
    values, _ = _training_values(model, options, "text", layout)
    return [str(value) for value in values]


def _training_values(
    model: RankingModel, options: PublishOptions, modality: Modality, layout: str
) -> tuple[Sequence[str | bytes], FrameRows]:
    """Return distinct values of the documents' fields of a modality, the same every time."""
    where = f"--as {layout}"
    if options.dataset is None:
        raise InputError(
            f"int8 needs training {modality}s to measure ranges on, and there is no data set",
            where=where,
            remedy="Give the data set: --data.",
        )
    dataset = options.dataset
    fields = [f for f in model.current_fields("document") if f.modality == modality]
    judged = dataset.training_judgments()["doc_id"].unique(maintain_order=True)
    frame = dataset.documents.filter(dataset.documents["doc_id"].is_in(judged.implode()))
    chosen = np.random.default_rng(0).permutation(frame.height)[: 2 * _RECORDS]
    rows = FrameRows.of(dataset, frame[np.sort(chosen).tolist()], "document", fields)
    found = [value for column in rows.columns(0, len(rows)) for value in column.values]
    if not found:
        raise InputError(
            f"no training document has any {modality}, on which the ranges of its int8 graph "
            "are measured",
            where=where,
            remedy="Choose the float32 layout.",
        )
    return [value for value in found if isinstance(value, str | bytes)][:_RECORDS], rows
