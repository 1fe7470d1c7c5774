"""Weights of open_clip: read from safetensors or a checkpoint, by the names of open_clip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from rankfield.errors import ModelError
from rankfield.messages import first_line, listed
from rankfield.paths import require_regular

__all__ = ["load_weights", "plain_names", "read_weights"]

_WRAPPERS = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""
_TEXT = (
    "transformer.",
    "token_embedding.",
    "positional_embedding",
    "ln_final.",
    "text_projection",
)
"""Beginnings of the text tower's names where it is no module of its own."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return name → tensor of a checkpoint, on the CPU and in its own dtype.

    A file that is no .safetensors is read by `torch.load(weights_only=True)`, which runs no code:
    a state dict, or what a training script writes, {"state_dict": …} with names that may begin
    with "module.". Where it can be, the file is mapped into memory: what is not used, such as an
    optimizer's state, is not read.

    Raises:
        ModelError: it is missing, cannot be read so, or holds no weights.
    """
    where = str(path)
    try:
        require_regular(path, ModelError)
        found = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except ModelError:
        raise
    except FileNotFoundError as error:
        raise ModelError("there is no such file", where=where) from error
    except Exception as error:  # of a damaged file pickle, torch and safetensors raise anything
        raise ModelError(
            f"no safetensors and no plain checkpoint that can be read ({first_line(error):.200})",
            where=where,
            remedy="Save the weights alone: torch.save(model.state_dict(), FILE).",
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not (isinstance(found, Mapping) and found and all(map(_is_weight, found.items()))):
        raise ModelError(
            "expected a state dict of names and tensors, alone or under 'state_dict', "
            f"found {_described(found)}",
            where=where,
            remedy="Save the weights alone: torch.save(model.state_dict(), FILE).",
        )
    weights = dict(found)
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in weights):
            weights = {name.removeprefix(wrapper): value for name, value in weights.items()}
    return weights


def _unpickled(path: Path) -> Any:
    # Not torch.load: `no_pickles` refuses it to libraries while a model is loaded.
    load = torch.serialization.load
    try:
        return load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
    return load(path, map_location="cpu", weights_only=True)  # of torch before 1.6


def _is_weight(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _described(found: Any) -> str:
    if not isinstance(found, Mapping):
        return f"a {type(found).__name__}"
    return f"the keys {listed([repr(key) for key in found], 5)}" if found else "nothing"


def load_weights(model: Any, weights: dict[str, Tensor], where: str) -> None:
    """Copy weights into a `CustomTextCLIP`: each of its own, and no other.

    Names of a `CLIP`, whose text tower is no module of its own, are understood. A scale and bias
    of logits, which no embedding depends on, may be missing or too many.

    Raises:
        ModelError: weights are missing, too many, or of other shapes.
    """
    if not any(name.startswith("text.") for name in weights):
        weights = {f"text.{k}" if k.startswith(_TEXT) else k: v for k, v in weights.items()}
    own = model.state_dict()
    for name in ("logit_scale", "logit_bias"):
        value = weights.pop(name, None)
        if name in own:
            weights[name] = own[name] if value is None else value.reshape(own[name].shape)
    # A buffer that transformers wrote before 4.31.
    weights.pop("text.transformer.embeddings.position_ids", None)
    problems = {
        "lacks": sorted(own.keys() - weights.keys()),
        "has, beyond the architecture's,": sorted(weights.keys() - own.keys()),
        "has of other shapes": [
            f"{name} {tuple(weights[name].shape)} (the architecture's is {tuple(value.shape)})"
            for name, value in own.items()
            if name in weights and weights[name].shape != value.shape
        ],
    }
    for problem, names in problems.items():
        if names:
            raise ModelError(
                f"its file {problem} the weights {listed(names, 2)}",
                where=where,
                remedy="Is it a checkpoint of another architecture?",
            )
    model.load_state_dict(weights)


def plain_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a `CustomTextCLIP` by the names that they have in a `CLIP`."""
    return {name.removeprefix("text."): value for name, value in weights.items()}
