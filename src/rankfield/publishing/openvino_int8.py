"""OpenVINO with int8 weights and activations, by ranges seen in training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankfield.encoders import RankingModel
from rankfield.extras import needs_extra
from rankfield.publishing.calibration import calibration_texts, calibration_values
from rankfield.publishing.exported_model import TextTokens, Towers
from rankfield.publishing.fields_file import modalities
from rankfield.publishing.openvino_towers import LAYOUT as OPENVINO
from rankfield.publishing.openvino_towers import to_openvino
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.quiet import quiet_export
from rankfield.publishing.tower_files import write_towers

__all__ = ["LAYOUT", "quantise"]

_NAME = "openvino-int8"
_BATCH = 8

Feed = dict[str, NDArray[Any]]


def quantise(source: Path, target: Path, feeds: Sequence[Feed]) -> None:
    """Write an int8 graph.

    Weights have seven bits: processors without VNNI add products of eight bits in 16 bits, which
    overflow.

    Args:
        source: the float32 graph, an `.xml` file.
        target: where to write.
        feeds: inputs on which the ranges of activations are measured.

    Raises:
        MissingExtraError: nncf is not installed.
    """
    with quiet_export():
        with needs_extra("openvino", "nncf is not installed"):
            import nncf
        import openvino

        graph = nncf.quantize(
            openvino.Core().read_model(source),
            nncf.Dataset(list(feeds)),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(feeds),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE
            ),
        )
    openvino.save_model(graph, target, compress_to_fp16=False)


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:
    needed = modalities(model)
    # first: what is missing is said before anything is exported
    texts = calibration_texts(model, options, _NAME) if "text" in needed else []
    images = _image_feeds(model, options) if "image" in needed else []
    towers = to_openvino(write_towers(model, folder, options), folder)
    shutil.rmtree(folder / "onnx")
    written: dict[str, Any] = {}
    for tower, path in (("text", towers.text), ("image", towers.image)):
        if path:
            feeds = _text_feeds(model, folder, towers, texts) if tower == "text" else images
            written[tower] = path.replace(".xml", "_qint8.xml")
            quantise(folder / path, folder / written[tower], feeds)
            for name in (path, path.replace(".xml", ".bin")):
                (folder / name).unlink()
    replace(towers, **written).save(folder)


def _image_feeds(model: RankingModel, options: PublishOptions) -> list[Feed]:
    values = calibration_values(model, options, _NAME)
    return [{"pixel_values": part} for part in np.split(values, range(_BATCH, len(values), _BATCH))]


def _text_feeds(
    model: RankingModel, folder: Path, towers: Towers, texts: Sequence[str]
) -> list[Feed]:
    tokens = TextTokens(folder, towers)
    names = frozenset(model.encoder.tokenize(["a"], "document"))
    read = tokens.read(texts)
    return [tokens.tensors(read[at : at + _BATCH], names) for at in range(0, len(read), _BATCH)]


LAYOUT = replace(
    OPENVINO, name=_NAME, title="OpenVINO, int8", write=_write, tolerance=0.1, int8=True
)
