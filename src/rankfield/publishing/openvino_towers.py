"""OpenVINO: a graph for each tower, of the same names and outputs as in ONNX."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from rankfield.encoders import RankingModel
from rankfield.publishing.exported_model import Towers
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.onnx_towers import LAYOUT as ONNX
from rankfield.publishing.onnx_towers import open_towers
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.tower_files import refuses_towers, write_towers

__all__ = ["LAYOUT", "to_openvino"]


def to_openvino(towers: Towers, folder: Path) -> Towers:
    """Write the ONNX graphs of a folder as `openvino/openvino_*.xml`, float32, and return which.

    A text model alone is `openvino/openvino_model.xml`, as sentence-transformers calls it.
    """
    import openvino

    (folder / "openvino").mkdir()
    written: dict[str, Any] = {}
    for tower in ("text", "image"):
        source = getattr(towers, tower)
        if source:
            written[tower] = f"openvino/openvino_{Path(source).stem}.xml"
            graph = openvino.convert_model(folder / source)
            openvino.save_model(graph, folder / written[tower], compress_to_fp16=False)
    found = replace(towers, **written)
    found.save(folder)
    return found


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:
    to_openvino(write_towers(model, folder, options), folder)
    shutil.rmtree(folder / "onnx")


_USAGE = f"""{ONNX.usage.split("Any runtime", maxsplit=1)[0]}\
OpenVINO reads the graphs in `openvino/` (batch and length are free). Their outputs
`sentence_embedding`, `text_embeds` and `image_embeds` are unit vectors; `last_hidden_state` of a
text model holds the states of its tokens, before pooling, as sentence-transformers expects them.
Texts get the prefix that `fields.json` names; images are prepared as `preprocessor_config.json`
says.
"""

LAYOUT = ModelLayout(
    name="openvino",
    title="OpenVINO",
    write=_write,
    open=open_towers,
    refuses=refuses_towers,
    package="openvino",
    extra="openvino",
    imports="openvino",
    usage=_USAGE,
)
