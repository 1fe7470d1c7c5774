"""ONNX: a graph for each tower, as transformers.js and sentence-transformers read them."""

from __future__ import annotations

from pathlib import Path

from rankfield.encoders import RankingModel
from rankfield.publishing.client import Client
from rankfield.publishing.exported_model import ExportedModel
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.tower_files import refuses_towers, write_towers

__all__ = ["LAYOUT", "open_towers"]


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:
    write_towers(model, folder, options)


def open_towers(folder: Path, options: PublishOptions) -> Client:  # noqa: ARG001
    """Return the folder in the runtime that it is for."""
    return ExportedModel(folder)


LAYOUT = ModelLayout(
    name="onnx",
    title="ONNX Runtime",
    write=_write,
    open=open_towers,
    refuses=refuses_towers,
    package="onnxruntime",
    extra="onnx",
    imports="onnxruntime",
    usage="""```python
from rankfield.publishing import ExportedModel

model = ExportedModel("FOLDER")
queries = model.encode_texts(["red mug"], "query")
documents = model.encode_texts(["Red striped mug, 350 ml"], "document")
print(queries @ documents.T)
```

Any runtime of ONNX reads the graphs in `onnx/` (opset 20; batch and length are free). Their
outputs `sentence_embedding`, `text_embeds` and `image_embeds` are unit vectors.
`last_hidden_state` of a text model holds the states of its tokens, before pooling, as
sentence-transformers and text-embeddings-inference expect them. transformers.js loads
`text_model.onnx` and `vision_model.onnx` as `CLIPTextModelWithProjection` and
`CLIPVisionModelWithProjection`. Texts get the prefix that `fields.json` names; images are prepared
as `preprocessor_config.json` says.
""",
)
