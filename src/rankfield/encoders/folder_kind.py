"""What a folder holds: a model in the form of some library, or something that is no encoder."""

from __future__ import annotations

from pathlib import Path

from rankfield.encoders.pretrained import loading
from rankfield.errors import ModelError
from rankfield.files import read_json, read_json_object
from rankfield.paths import inside

__all__ = [
    "MODULES",
    "OPEN_CLIP",
    "dual_of_modules",
    "is_open_clip",
    "no_encoder",
    "reads_images_as_tokens",
]

MODULES = "modules.json"
"""Of a model of sentence-transformers."""

OPEN_CLIP = "open_clip_config.json"
"""Of a model of open_clip."""

_OF_RANKFIELD = (
    ("index.json", "is an index", "Give it to `rankfield search` or `rankfield evaluate`."),
    ("dataset.toml", "is a data set", "Name the model first, then the data set."),
    ("recipe.toml", "is the folder of a training run", "Give its folder `model`."),
)
_OF_OTHERS = (
    (
        "adapter_config.json",
        "holds adapters of peft alone",
        "Merge them into their base model (`merge_and_unload`) and save that.",
    ),
    ("model_index.json", "is a pipeline of diffusers", "Give the folder of one of its encoders."),
)


def no_encoder(folder: Path, where: str) -> ModelError | None:
    """Return the error of a folder that holds no encoder; None where it may hold one.

    Args:
        folder: of a model that rankfield and sentence-transformers did not save.
        where: how to name it in the error.
    """
    if (folder / "config.json").is_file():
        return None
    for name, problem, remedy in (*_OF_RANKFIELD, *_OF_OTHERS):
        if (folder / name).is_file():
            return ModelError(problem, where=where, remedy=remedy)
    return ModelError(
        f"has neither config.json nor {MODULES}",
        where=where,
        remedy="Give a folder that transformers, sentence-transformers or rankfield saved.",
    )


def dual_of_modules(folder: Path, where: str) -> Path | None:
    """Return the folder of the dual encoder that a model of sentence-transformers consists of.

    None if the model is another, or has more modules than a normalisation.

    Raises:
        ModelError: `modules.json` is malformed.
    """
    if not (folder / MODULES).is_file():
        return None
    with loading(where):
        (first, *rest) = read_json(folder / MODULES)
        root = inside(folder, first["path"]) if first["path"] else folder
        kinds = [module["type"].rsplit(".", 1)[-1] for module in rest]
        if root is None or set(kinds) - {"Normalize"} or not (root / "config.json").is_file():
            return None
        config = read_json_object(root / "config.json")
    # CLIP, SigLIP and their kin; other models of both kinds read them in one sequence.
    dual = {"text_config", "vision_config"} <= config.keys() and "lip" in str(
        config.get("model_type")
    )
    return root if dual else None


def reads_images_as_tokens(folder: Path, where: str) -> bool:
    """Return whether a language model sees images among its tokens, such as Qwen-VL.

    Args:
        folder: of a model of transformers or sentence-transformers.
        where: how to name it in an error.

    Raises:
        ModelError: its files are malformed.
    """
    root: Path | None = folder
    with loading(where):
        if (folder / MODULES).is_file():
            (first, *_) = read_json(folder / MODULES)
            root = inside(folder, first["path"]) if first["path"] else folder
        if root is None or not (root / "config.json").is_file():
            return False
        config = read_json_object(root / "config.json")
    # Dual encoders: CLIP, SigLIP, CLAP and their kin.
    return "vision_config" in config and "lip" not in str(config.get("model_type"))


def is_open_clip(folder: Path, *, weights: bool = True) -> bool:
    """Tell a model that is open_clip's alone from one that transformers reads as well.

    Many models on the hub are both. transformers does not read one whose config.json asks for
    code of its own, as Marqo's do, nor one without safetensors.

    Args:
        folder: of the model.
        weights: whether the folder has its weights yet.

    Raises:
        InputError: its config.json is malformed.
    """
    config = folder / "config.json"
    if not (folder / OPEN_CLIP).is_file() or (folder / MODULES).is_file():
        return False
    if not config.is_file() or "auto_map" in read_json_object(config):
        return True
    return weights and not any(folder.glob("model*.safetensors"))
