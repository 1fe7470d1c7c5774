"""A folder that sentence-transformers loads, in the schema that older readers know too.

Since 5.4 sentence-transformers writes new type paths and a new schema of pooling. It still reads
the former ones, and text-embeddings-inference and older versions read nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    RankingModel,
    SentenceTransformersTower,
    SequenceEncoder,
    TransformersTextTower,
    VisionTower,
)
from rankfield.encoders.base import Side
from rankfield.encoders.patch_transform import PatchTransform
from rankfield.encoders.pretrained import loading
from rankfield.files import read_json_object, write_json
from rankfield.publishing.client import AnyClient
from rankfield.publishing.fields_file import fuses, modalities, prefix
from rankfield.publishing.hugging_face_files import (
    save_dual,
    save_text_tower,
    write_image_processor,
)
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.sequence_folder import (
    SequenceClient,
    is_sequence_folder,
    write_sequences,
)

__all__ = ["LAYOUT", "SentenceTransformersClient", "write_modules"]

_TRANSFORMER, _POOLING, _DENSE = "sentence_bert_config.json", "config.json", "config.json"
_MODES = {
    "cls": "cls_token",
    "mean": "mean_tokens",
    "max": "max_tokens",
    "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "weightedmean": "weightedmean_tokens",
    "lasttoken": "lasttoken",
}
"""Pooling as it is called since 5.4 → the end of the former Boolean's name."""
_POOLINGS = {"mean": "mean", "cls": "cls", "last_token": "lasttoken"}
"""Pooling of a text tower of transformers → as it is called here."""
_PLAIN = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
_USUAL = "sentence_embedding"
_NEW_DENSE = ("module_input_name", "module_output_name")


@dataclass(frozen=True)
class _Module:
    """One module of the folder: the name of its class, and how it is written into its folder."""

    kind: str
    save: Callable[[Path], None]


class SentenceTransformersClient:
    """A folder in `SentenceTransformer`, on the CPU."""

    def __init__(self, folder: Path) -> None:
        from sentence_transformers import SentenceTransformer

        with loading(str(folder)):
            self.model = SentenceTransformer(
                str(folder), device="cpu", trust_remote_code=False, local_files_only=True
            )
            self._resize_by_pillow(folder)

    def _resize_by_pillow(self, folder: Path) -> None:
        """Pin the image processor: where torchvision is installed, it gives other pixels."""
        from transformers import AutoImageProcessor

        for stated in folder.rglob("preprocessor_config.json"):
            pinned = AutoImageProcessor.from_pretrained(
                stated.parent, local_files_only=True, trust_remote_code=False, backend="pil"
            )
            for module in self.model.modules():
                if type(module).__name__ != "Transformer" or "image" not in module.modalities:
                    continue
                if hasattr(module.processor, "image_processor"):
                    module.processor.image_processor = pinned
                else:
                    module.processor = pinned

    def encode_texts(self, texts: list[str], side: Side) -> NDArray[np.float32]:
        """Return N × D unit vectors, with the prompt of that side."""
        encode = self.model.encode_query if side == "query" else self.model.encode_document
        return np.asarray(encode(texts, show_progress_bar=False), dtype=np.float32)

    def encode_images(self, images: list[Image.Image]) -> NDArray[np.float32]:
        """Return N × D unit vectors."""
        return np.asarray(self.model.encode(images, show_progress_bar=False), dtype=np.float32)


def _open(folder: Path, options: PublishOptions) -> AnyClient:  # noqa: ARG001
    return (
        SequenceClient(folder) if is_sequence_folder(folder) else SentenceTransformersClient(folder)
    )


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:  # noqa: ARG001
    if isinstance(model.encoder, SequenceEncoder):
        write_sequences(model, folder)
    else:
        write_modules(model, folder)


def write_modules(model: RankingModel, folder: Path) -> None:
    """Write the folder of a model that this layout does not refuse."""
    routes = _routes(model)
    normalise = _Module("Normalize", lambda place: None)  # noqa: ARG005
    if len(routes) == 1:
        (modules,) = routes.values()
        if modules[-1].kind != "Normalize":
            modules.append(normalise)
    else:
        modules = [_Module("Router", lambda place: _write_router(routes, place)), normalise]
    listed = []
    for number, module in enumerate(modules):
        path = f"{number}_{module.kind}" if number else ""
        place = folder / path
        place.mkdir(exist_ok=True)
        module.save(place)
        listed.append(
            {"idx": number, "name": str(number), "path": path, "type": _type(module.kind)}
        )
    write_json(folder / "modules.json", listed)
    write_json(folder / "config_sentence_transformers.json", _config(model))


def _routes(model: RankingModel) -> dict[str, list[_Module]]:
    """Return modality → its modules, one route where a single pipeline takes all."""
    encoder, needed = model.encoder, modalities(model)
    # what is fused is cut afterwards
    dimension = encoder.dimension if fuses(model) else model.dimension
    if isinstance(encoder, DualEncoder):
        both = _Module("Transformer", lambda place: _save_dual(encoder, place))
        return {"both": [both, *_dense(nn.Identity(), encoder.dimension, dimension)]}
    assert isinstance(encoder, ComposedEncoder)
    routes = {}
    if encoder.text is not None and "text" in needed:
        text = encoder.text
        dense = _dense(encoder.text_projection, text.width, dimension)
        routes["text"] = [*_text_modules(text), *dense]
    if encoder.vision is not None and "image" in needed:
        vision = encoder.vision
        tower = _Module("Transformer", lambda place: _save_vision(vision, place))
        routes["image"] = [tower, *_dense(encoder.vision_projection, vision.width, dimension)]
    return routes


def _text_modules(tower: nn.Module) -> list[_Module]:
    if isinstance(tower, SentenceTransformersTower):
        return [_of_library(module) for module in tower.model.children()]
    assert isinstance(tower, TransformersTextTower)

    def save(place: Path) -> None:
        save_text_tower(tower, place)
        write_json(place / _TRANSFORMER, _legacy_transformer(tower.max_tokens))

    pooling = _legacy_pooling(tower.width, [_POOLINGS[tower.pooling]])
    return [
        _Module("Transformer", save),
        _Module("Pooling", lambda place: write_json(place / _POOLING, pooling)),
    ]


def _of_library(module: Any) -> _Module:
    """Return a module of sentence-transformers itself, written in the former schema."""
    kind = type(module).__name__

    def save(place: Path) -> None:
        module.save(str(place), safe_serialization=True)
        if kind == "Transformer" and module.modality_config == _PLAIN:
            write_json(place / _TRANSFORMER, _legacy_transformer(module.max_seq_length))
        elif kind == "Pooling":
            modes = module.pooling_mode
            modes = [modes] if isinstance(modes, str) else list(modes)
            write_json(place / _POOLING, _legacy_pooling(module.embedding_dimension, modes))
        elif kind == "Dense":
            config = read_json_object(place / _DENSE)
            if all(
                config.get(key, "sentence_embedding") == "sentence_embedding" for key in _NEW_DENSE
            ):
                config = {key: config[key] for key in config if key not in _NEW_DENSE}
            write_json(place / _DENSE, config)

    return _Module(kind, save)


def _legacy_transformer(max_tokens: int | None) -> dict[str, Any]:
    return {"max_seq_length": max_tokens, "do_lower_case": False}


def _legacy_pooling(width: int, modes: Sequence[str]) -> dict[str, Any]:
    """Return the former schema of pooling. Prefixes were pooled in training, so prompts are."""
    booleans = {f"pooling_mode_{name}": mode in modes for mode, name in _MODES.items()}
    return {"word_embedding_dimension": width, **booleans, "include_prompt": True}


def _dense(projection: nn.Module, width: int, dimension: int) -> list[_Module]:
    """Return what maps `width` numbers to the first `dimension` of the encoder's; maybe nothing."""
    if isinstance(projection, nn.Linear):
        weight = projection.weight.detach()[:dimension]
    elif dimension < width:  # no folder states a truncation, a matrix does it everywhere
        weight = torch.eye(dimension, width)
    else:
        return []
    return [_Module("Dense", lambda place: _save_dense(weight, place))]


def _save_dense(weight: Tensor, place: Path) -> None:
    config = {
        "in_features": weight.shape[1],
        "out_features": weight.shape[0],
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    write_json(place / _DENSE, config)
    save_file({"linear.weight": weight.contiguous()}, place / "model.safetensors")


def _save_dual(encoder: DualEncoder, place: Path) -> None:
    save_dual(encoder, place)
    features = {"method_output_name": "pooler_output"}
    config: dict[str, Any] = {
        "transformer_task": "feature-extraction",
        "modality_config": {
            "text": {"method": "get_text_features", **features},
            "image": {"method": "get_image_features", **features},
        },
        "module_output_name": "sentence_embedding",
    }
    if encoder.pads_to_full_length:
        padding = {"padding": "max_length", "max_length": encoder.max_tokens}
        config["processing_kwargs"] = {"text": padding}
    if isinstance(encoder.transform, PatchTransform):
        # transformers' processor of both modalities has sizes of its own, whatever its files say
        sizes = {
            "patch_size": encoder.transform.patch_size,
            "max_num_patches": encoder.transform.max_patches,
        }
        config.setdefault("processing_kwargs", {})["image"] = sizes
    write_json(place / _TRANSFORMER, config)


def _save_vision(tower: VisionTower, place: Path) -> None:
    tower.model.save_pretrained(place, safe_serialization=True)
    write_image_processor(tower.transform, place)
    config = {
        "transformer_task": "feature-extraction",
        "modality_config": {"image": {"method": "forward", "method_output_name": "pooler_output"}},
        "module_output_name": "sentence_embedding",
    }
    write_json(place / _TRANSFORMER, config)


def _write_router(routes: dict[str, list[_Module]], place: Path) -> None:
    structure: dict[str, list[str]] = {}
    types = {}
    for route, modules in routes.items():
        names = [f"{route}_{number}_{module.kind}" for number, module in enumerate(modules)]
        structure[route] = names
        for name, module in zip(names, modules, strict=True):
            types[name] = _type(module.kind)
            (place / name).mkdir()
            module.save(place / name)
    parameters = {"default_route": "text", "allow_empty_key": True, "route_mappings": {}}
    config = {"types": types, "structure": structure, "parameters": parameters}
    write_json(place / "router_config.json", config)


def _type(kind: str) -> str:
    return f"sentence_transformers.models.{kind}"


def _config(model: RankingModel) -> dict[str, Any]:
    prompts = {"query": prefix(model, "query"), "document": prefix(model, "document")}
    return {
        "__version__": {},
        "model_type": "SentenceTransformer",
        "prompts": prompts,
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    }


def _refuses(model: RankingModel) -> str | None:
    encoder = model.encoder
    if isinstance(encoder, DualEncoder | SequenceEncoder):
        return _foreign_module(encoder.model) if isinstance(encoder, SequenceEncoder) else None
    if not isinstance(encoder, ComposedEncoder):
        return f"an encoder of the kind {encoder.kind!r} has no form in sentence-transformers"
    if isinstance(encoder.text, SentenceTransformersTower):
        problem = _foreign_module(encoder.text.model)
        if problem is not None:
            return problem
    text = encoder.text if "text" in modalities(model) else None
    if isinstance(text, TransformersTextTower) and (
        text.pooling not in _POOLINGS or text.pads_to_full_length
    ):
        return (
            "its text tower is half of a dual encoder, with pooling or padding of its own; choose "
            "--as onnx"
        )
    if encoder.vision is not None and "image" in modalities(model):
        pooled = _pooled(encoder.vision)
        if pooled.ndim != 2:
            return (
                f"its vision tower, a {type(encoder.vision.model).__name__}, gives feature maps, "
                "which sentence-transformers does not flatten; choose --as onnx"
            )
    return None


def _foreign_module(library: Any) -> str | None:
    for module in library.children():
        if not type(module).__module__.startswith("sentence_transformers."):
            return (
                f"its module {type(module).__name__} is not one of sentence-transformers: "
                "the folder would need code of its own; choose another layout"
            )
    return None


@torch.no_grad()
def _pooled(tower: VisionTower) -> Tensor:
    device = next(tower.parameters()).device
    image = tower.transform.to_array(Image.new("RGB", (64, 64)))
    inputs = tower.transform.inputs(torch.from_numpy(image[None].copy()).to(device))
    pooled: Tensor = tower.model(**inputs).pooler_output
    return pooled


LAYOUT = ModelLayout(
    name="sentence-transformers",
    title="sentence-transformers",
    write=_write,
    open=_open,
    refuses=_refuses,
    package="sentence-transformers",
    extra="sentence-transformers",
    imports="sentence_transformers",
    sequences="whole",
    usage="""```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("FOLDER")
queries = model.encode_query(["red mug"])
documents = model.encode_document(["Red striped mug, 350 ml"])
print(model.similarity(queries, documents))
```

An image is encoded by `model.encode(image)`, if the model takes images. Vectors of several fields
of one document are added up as the section on fields says. A model that reads a record in one
sequence takes it whole: `model.encode_document([{"image": image, "text": "Red mug\\n350 ml"}])`.
""",
)
