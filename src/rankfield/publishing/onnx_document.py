"""ONNX: one graph for a whole document, fields and weights inside, and one for a query."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Encoder, Side
from rankfield.publishing.client import RecordClient
from rankfield.publishing.exported_model import Towers
from rankfield.publishing.exported_records import ExportedRecords
from rankfield.publishing.fields_file import modalities
from rankfield.publishing.hugging_face_files import fixed_transform, write_image_processor
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.onnx_export import GraphInput, export_graph, token_inputs
from rankfield.publishing.onnx_graphs import RecordGraph
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.tower_files import refuses_towers, text_files
from rankfield.schema import Field

__all__ = ["LAYOUT"]


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:  # noqa: ARG001
    encoder, needed = model.encoder, modalities(model)
    (folder / "onnx").mkdir()
    Towers(**(text_files(encoder, folder) if "text" in needed else {})).save(folder)
    if "image" in needed:
        write_image_processor(fixed_transform(encoder.image_transform), folder)
    sides: tuple[Side, Side] = ("query", "document")
    for side in sides:
        fields = model.current_fields(side)
        tokens = token_inputs(encoder) if any(f.modality == "text" for f in fields) else []
        graph = RecordGraph(encoder, fields, [one.name for one in tokens], model.dimension)
        inputs = _inputs(encoder, fields, tokens)
        export_graph(graph, inputs, [f"{side}_embeds"], folder / "onnx" / f"{side}.onnx")


def _inputs(
    encoder: Encoder, fields: Sequence[Field], tokens: Sequence[GraphInput]
) -> list[GraphInput]:
    """Return the inputs of all fields; each has lengths of its own, only the batch is common."""
    found = []
    for field in fields:
        name, batch, limits = field.name, len(tokens[0].example) if tokens else 2, {}
        if field.modality == "text":
            for one in tokens:
                axes = {axis: _own(name, length) for axis, length in one.axes.items()}
                limits = {_own(name, length): most for length, most in one.limits.items()}
                found.append(GraphInput(f"{name}.{one.name}", one.example, axes, limits))
            shape: tuple[int, ...] = (batch,)
            axes = {0: "batch"}
        else:
            transform = fixed_transform(encoder.image_transform)
            shape, axes = (batch, 3), {0: "batch", 1: _own(name, "images")}
            size = (*shape, transform.height, transform.width, 3)
            pixels = torch.randint(0, 256, size, dtype=torch.uint8)
            found.append(GraphInput(f"{name}.pixels", pixels, axes, {}))
        present = torch.ones(shape, dtype=torch.bool)
        found.append(GraphInput(f"{name}.present", present, axes, {}))
    return found


def _own(field: str, length: str) -> str:
    """Return the name of a length that is a field's own; a field may have any name."""
    return length if length == "batch" else f"{length}_{field.encode().hex()}"


def _open(folder: Path, options: PublishOptions) -> RecordClient:  # noqa: ARG001
    return ExportedRecords(folder)


LAYOUT = ModelLayout(
    name="onnx-document",
    title="ONNX Runtime, whole records",
    write=_write,
    open=_open,
    refuses=refuses_towers,
    package="onnxruntime",
    extra="onnx",
    imports="onnxruntime",
    usage="""```python
from rankfield.publishing import ExportedRecords

model = ExportedRecords("FOLDER")
queries = model.encode_records([{"query": "red mug"}], "query")
```

`onnx/document.onnx` and `onnx/query.onnx` (opset 20) take all fields of N records at once and give
the fused unit vectors, `document_embeds` and `query_embeds`; the weights of the fields are inside.
Inputs of a text field called `title` are `title.input_ids` and what else the tokenizer gives, N ×
length, and `title.present`, N Booleans. Those of an image field called `image` are `image.pixels`,
uint8 N × K × height × width × 3 with up to K images of a document, resized as
`preprocessor_config.json` says and not normalised, and `image.present`, N × K. What is not present
is left out, whatever its tokens or pixels. Texts get the prefix that `fields.json` names.
""",
)
