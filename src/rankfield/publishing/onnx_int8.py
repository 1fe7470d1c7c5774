"""ONNX with int8 weights: texts quantised as they come, images by ranges seen in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankfield.encoders import RankingModel
from rankfield.publishing.calibration import calibration_values
from rankfield.publishing.fields_file import modalities
from rankfield.publishing.onnx_towers import LAYOUT as ONNX
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.quiet import quiet_export
from rankfield.publishing.tower_files import write_towers

__all__ = ["LAYOUT", "quantise_image", "quantise_text", "quantised"]

_NAME = "onnx-int8"
_BATCH = 16


def quantised(path: str) -> str:
    """Return the name of an int8 graph, as transformers.js wants it."""
    return path.replace(".onnx", "_quantized.onnx")


def quantise_text(source: Path, target: Path) -> None:
    """Write a text graph with int8 weights of its matrix products, a scale for each column.

    Activations are quantised as they come, so nothing need be known of the texts. Weights have
    seven bits: processors without VNNI add products of eight bits in 16 bits, which overflow.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet_export():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )


def quantise_image(source: Path, target: Path, values: NDArray[np.float32]) -> None:
    """Write a vision graph with int8 weights and activations.

    Args:
        source: the float32 graph.
        target: where to write.
        values: N × 3 × H × W `pixel_values` on which the ranges of activations are measured.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._starts = iter(range(0, len(values), _BATCH))

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            start = next(self._starts, None)
            return None if start is None else {"pixel_values": values[start : start + _BATCH]}

    options: dict[str, Any] = {"MatMulConstBOnly": True}
    with quiet_export():
        quantize_static(
            source,
            target,
            Reader(),
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=options,
        )


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:
    values: NDArray[np.float32] | None = None
    if "image" in modalities(model):
        # first: what is missing is said before anything is exported
        values = calibration_values(model, options, _NAME)
    towers = write_towers(model, folder, options)
    if towers.text:
        quantise_text(folder / towers.text, folder / quantised(towers.text))
    if values is not None:
        quantise_image(folder / towers.image, folder / quantised(towers.image), values)
    for path in (towers.text, towers.image):
        if path:
            (folder / path).unlink()
    replace(towers, text=quantised(towers.text), image=quantised(towers.image)).save(folder)


LAYOUT = replace(
    ONNX, name=_NAME, title="ONNX Runtime, int8", write=_write, tolerance=0.1, int8=True
)
