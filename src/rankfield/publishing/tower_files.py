"""An encoder's towers as ONNX graphs in a folder, with what a client reads beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    ImageTransform,
    RankingModel,
    SentenceTransformersTower,
)
from rankfield.encoders.base import Encoder
from rankfield.files import write_json
from rankfield.publishing.exported_model import Towers
from rankfield.publishing.fields_file import fuses, modalities
from rankfield.publishing.hugging_face_files import (
    fixed_transform,
    save_tokenizer,
    write_image_processor,
)
from rankfield.publishing.onnx_export import GraphInput, export_graph, token_inputs
from rankfield.publishing.onnx_graphs import ImageGraph, TextGraph, TokenGraph, token_states
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.sentence_transformers import LAYOUT as SENTENCE_TRANSFORMERS

__all__ = ["refuses_towers", "text_files", "tokenizer_of", "write_towers"]

_TYPES = {"input_ids", "attention_mask", "token_type_ids"}


def write_towers(model: RankingModel, folder: Path, options: PublishOptions) -> Towers:
    """Write the towers that the fields need as `onnx/*.onnx`, and return which.

    A text model alone is `onnx/model.onnx`, with the states of its tokens (`last_hidden_state`),
    as sentence-transformers wants them, and the finished vectors; its folder has the other files
    of sentence-transformers. Other towers are `onnx/text_model.onnx` and `onnx/vision_model.onnx`
    with `text_embeds` and `image_embeds`, as in transformers.js.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        ModelError: a tower has no form in ONNX.
    """
    encoder, needed = model.encoder, modalities(model)
    # what is fused is cut afterwards
    dimension = encoder.dimension if fuses(model) else model.dimension
    (folder / "onnx").mkdir()
    values: dict[str, Any] = {}
    alone = needed == {"text"} and token_states(encoder)
    if alone and SENTENCE_TRANSFORMERS.refuses(model) is None:
        SENTENCE_TRANSFORMERS.write(model, folder, options)
        for weights in folder.glob("model*.safetensors*"):
            weights.unlink()
    else:
        _write_config(encoder, folder)
    if "text" in needed:
        values |= text_files(encoder, folder)
        inputs = token_inputs(encoder)
        names = [one.name for one in inputs]
        path = f"onnx/{'model' if alone else 'text_model'}.onnx"
        output = "sentence_embedding" if alone else "text_embeds"
        graph = (TokenGraph if alone else TextGraph)(encoder, names, dimension)
        outputs = ["last_hidden_state", output] if alone else [output]
        export_graph(graph, inputs, outputs, folder / path)
        values |= {"text": path, "text_output": output}
    if "image" in needed:
        path = "onnx/vision_model.onnx"
        transform = fixed_transform(encoder.image_transform)
        write_image_processor(transform, folder)
        example = torch.rand(2, 3, transform.height, transform.width)
        pixels = GraphInput("pixel_values", example, {0: "batch"}, {})
        export_graph(ImageGraph(encoder, dimension), [pixels], ["image_embeds"], folder / path)
        values |= {"image": path, "image_output": "image_embeds"}
    towers = Towers(**values)
    towers.save(folder)
    return towers


def text_files(encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Write the tokenizer, and return where texts are cut and how they are padded."""
    tokenizer = tokenizer_of(encoder)
    assert tokenizer is not None
    first = token_inputs(encoder)[0]
    longest = first.limits["sequence"]
    if not (folder / "tokenizer.json").is_file():
        masked = any(one.name == "attention_mask" for one in token_inputs(encoder))
        save_tokenizer(tokenizer, folder, longest, masked=masked)
    return {
        "max_tokens": longest,
        "pad_token": tokenizer.pad_token_id or 0,
        "full_length": 1 not in first.axes,
    }


def tokenizer_of(encoder: Encoder) -> Any | None:
    """Return the tokenizer of an encoder if it can be written as `tokenizer.json`."""
    holder: Any = encoder
    if isinstance(encoder, ComposedEncoder):
        holder = encoder.text
        if isinstance(holder, SentenceTransformersTower):
            holder = holder.model
    tokenizer = getattr(holder, "tokenizer", None)
    return tokenizer if getattr(tokenizer, "backend_tokenizer", None) is not None else None


def refuses_towers(model: RankingModel) -> str | None:
    """Return why the towers of a model have no graphs; None if they have."""
    encoder, needed = model.encoder, modalities(model)
    if "image" in needed and not isinstance(encoder.image_transform, ImageTransform):
        return (
            "it takes images of any shape, and a graph takes one size; choose --as transformers, "
            "--as sentence-transformers or --as vectors"
        )
    if "text" in needed:
        if tokenizer_of(encoder) is None:
            return (
                "its tokenizer has no form in tokenizer.json, the one file that runtimes read; "
                "choose another layout"
            )
        names = set(encoder.tokenize(["a"], "document"))
        if not names <= _TYPES:
            return (
                f"its text tower takes {', '.join(sorted(names - _TYPES))}; choose another layout"
            )
    return None


def _write_config(encoder: Encoder, folder: Path) -> None:
    """Write the `config.json` by which transformers.js knows what to load."""
    if isinstance(encoder, DualEncoder):
        encoder.model.config.save_pretrained(folder)
    else:
        # what transformers.js calls a text and a vision model with projections
        write_json(folder / "config.json", {"model_type": "clip"})
