"""A folder that transformers loads, and with it vLLM, text-embeddings-inference and Marqo.

A dual encoder is written as CLIP or SigLIP is, a text model as `AutoModel` reads it, with its
pooling stated in `1_Pooling/config.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    RankingModel,
    SentenceTransformersTower,
    TransformersTextTower,
)
from rankfield.encoders.base import Side
from rankfield.encoders.pretrained import loading
from rankfield.errors import ModelError
from rankfield.files import read_json_object, write_json
from rankfield.publishing.client import Client
from rankfield.publishing.fields_file import modalities, prefix
from rankfield.publishing.hugging_face_files import save_dual
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.marqo import PLACE, write_marqo
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.sentence_transformers import write_modules

__all__ = ["LAYOUT", "DualClient", "TextClient"]

_POOLING = Path("1_Pooling", "config.json")
_PREFIXES = "config_sentence_transformers.json"
_MODULES = {"Transformer", "Pooling", "Normalize"}

Pooling = Literal["mean", "cls"]


class _Loaded:
    """`AutoModel` and `AutoTokenizer` of a folder, on the CPU."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        with loading(str(folder)):
            self.model = AutoModel.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, **options
            ).eval()
            self.tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        self.prompts = read_json_object(folder / _PREFIXES)["prompts"]

    def tokens(self, texts: list[str], side: Side, *, padding: str | bool = True) -> Any:
        prefixed = [self.prompts[side] + text for text in texts]
        return self.tokenizer(prefixed, padding=padding, truncation=True, return_tensors="pt")


class TextClient(_Loaded):
    """A text model with the pooling that its folder states."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        stated = read_json_object(folder / _POOLING)
        self.pooling: Pooling = "cls" if stated["pooling_mode_cls_token"] else "mean"

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], side: Side) -> NDArray[np.float32]:
        """Return N × D unit vectors, with the prefix of that side."""
        tokens = self.tokens(texts, side)
        states: Tensor = self.model(**tokens).last_hidden_state
        if self.pooling == "cls":
            return _unit(states[:, 0])
        mask = tokens["attention_mask"].unsqueeze(-1)
        return _unit((states * mask).sum(1) / mask.sum(1))

    def encode_images(self, images: list[Image.Image]) -> NDArray[np.float32]:  # noqa: ARG002
        """Raise a ModelError: a text model takes none."""
        raise ModelError("a text model takes no images", where="--as transformers")


class DualClient(_Loaded):
    """A CLIP or SigLIP with its processors."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoImageProcessor

        super().__init__(folder)
        # the processor of Pillow: that of torchvision resizes to other pixels
        self.processor = AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, backend="pil"
        )
        self.padding = "max_length" if "siglip" in self.model.config.model_type else True

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], side: Side) -> NDArray[np.float32]:
        """Return N × D unit vectors, with the prefix of that side."""
        tokens = self.tokens(texts, side, padding=self.padding)
        return _unit(self.model.get_text_features(**tokens).pooler_output)

    @torch.inference_mode()
    def encode_images(self, images: list[Image.Image]) -> NDArray[np.float32]:
        """Return N × D unit vectors."""
        pixels = self.processor(images, return_tensors="pt")
        return _unit(self.model.get_image_features(**pixels).pooler_output)


def _unit(vectors: Tensor) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = F.normalize(vectors.float(), dim=-1).numpy()
    return unit


def _open(folder: Path, options: PublishOptions) -> Client:  # noqa: ARG001
    return TextClient(folder) if (folder / _POOLING).is_file() else DualClient(folder)


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:  # noqa: ARG001
    if isinstance(model.encoder, DualEncoder):
        save_dual(model.encoder, folder)
        prompts = {"query": prefix(model, "query"), "document": prefix(model, "document")}
        write_json(folder / _PREFIXES, {"prompts": prompts})
        return
    write_modules(model, folder)
    stated = read_json_object(folder / _POOLING)
    properties = {
        "type": "hf",
        "name": model.name,
        "dimensions": stated["word_embedding_dimension"],
        "poolingMethod": "cls" if stated["pooling_mode_cls_token"] else "mean",
        "tokens": read_json_object(folder / "sentence_bert_config.json")["max_seq_length"],
        "url": f"{PLACE}/ARCHIVE.zip",
    }
    write_marqo(model, folder, properties)


def _refuses(model: RankingModel) -> str | None:
    encoder = model.encoder
    if isinstance(encoder, DualEncoder):
        return None
    if not isinstance(encoder, ComposedEncoder) or "image" in modalities(model):
        return (
            "transformers itself has no model of two composed towers; choose --as "
            "sentence-transformers or --as onnx"
        )
    if encoder.projected:
        return (
            "a projection follows its text tower, which AutoModel does not know; choose --as "
            "sentence-transformers"
        )
    return _unusual(encoder.text)


def _unusual(tower: object) -> str | None:
    """Return what of a text tower is more than a model of transformers with mean or cls pooling."""
    if isinstance(tower, TransformersTextTower):
        if tower.pooling in ("mean", "cls") and not tower.pads_to_full_length:
            return None
        return (
            f"its text tower has the pooling {tower.pooling} or padding of its own, which no file "
            "of transformers states; choose --as sentence-transformers or --as onnx"
        )
    assert isinstance(tower, SentenceTransformersTower)
    modules = list(tower.model.children())
    kinds = {type(module).__name__ for module in modules}
    poolings = [m.pooling_mode for m in modules if type(m).__name__ == "Pooling"]
    if kinds <= _MODULES and poolings in (["mean"], ["cls"]):
        return None
    return (
        f"it is more than a model with mean or cls pooling ({', '.join(sorted(kinds))}); choose "
        "--as sentence-transformers"
    )


LAYOUT = ModelLayout(
    name="transformers",
    title="transformers, vLLM, text-embeddings-inference and Marqo (hf)",
    write=_write,
    open=_open,
    refuses=_refuses,
    package="transformers",
    imports="transformers",
    usage="""CLIP and SigLIP:

```python
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

model, tokenizer = AutoModel.from_pretrained("FOLDER"), AutoTokenizer.from_pretrained("FOLDER")
tokens = tokenizer(["red mug"], padding=True, truncation=True, return_tensors="pt")
texts = model.get_text_features(**tokens).pooler_output  # of SigLIP with padding="max_length"
pixels = AutoImageProcessor.from_pretrained("FOLDER")(image, return_tensors="pt")
images = model.get_image_features(**pixels).pooler_output
```

Normalise the vectors to length 1. A text model's pooling, mean or cls, stands in
`1_Pooling/config.json`. The prefixes of both sides are put before the texts by the caller.

- vLLM: `vllm serve FOLDER --runner pooling`
- text-embeddings-inference, text models: `text-embeddings-router --model-id FOLDER`
- Marqo, text models: put a zip of the folder where Marqo can fetch it, and its address into
  `marqo.json`: the settings of the index.
""",
)
