"""Models of open_clip by name: on the hub, in a folder, or an architecture with a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankfield.encoders.folder_kind import OPEN_CLIP
from rankfield.encoders.model_config import require_modest_values
from rankfield.encoders.open_clip_import import import_open_clip
from rankfield.encoders.pretrained import loading, require_plain_files
from rankfield.encoders.source import HUB, as_open_clip, model_folder, open_clip_weights
from rankfield.errors import ModelError
from rankfield.files import read_json_object
from rankfield.messages import did_you_mean

__all__ = ["OpenClipSource", "open_clip_source"]

_CLEANING = {"clean", "strip_sep_token"}
"""Settings of tokenizers that clean texts; others cut texts at random, fetch or import."""


@dataclass(frozen=True)
class OpenClipSource:
    """What a model of open_clip is made of.

    `model_cfg` and `preprocess_cfg` are those of open_clip_config.json; `weights` is the file of
    its weights, `folder` where the files of a tokenizer may be; `on_hub` says that the model was
    named on the hub, from which further parts may then be fetched.
    """

    where: str
    model_cfg: dict[str, Any]
    preprocess_cfg: dict[str, Any]
    weights: Path
    folder: Path | None
    on_hub: bool = False


def open_clip_source(
    name: str | Path, *, checkpoint: str | Path | None = None, revision: str | None = None
) -> OpenClipSource:
    """Return what a name of a model stands for; fetched from the hub if need be.

    Args:
        name: "hf-hub:org/name" or "org/name", "local-dir:PATH" or a folder, with
            open_clip_config.json; or an architecture of open_clip, such as "ViT-B-32".
        checkpoint: a file of weights; needed with an architecture, else instead of the model's.
        revision: of a model of the hub: branch, tag or commit.

    Raises:
        MissingExtraError: open_clip is not installed.
        ModelError: there is no such model, or a configuration that is not taken.
    """
    open_clip = import_open_clip()
    where = f"model {name}"
    text = str(name)
    weights = None if checkpoint is None else Path(checkpoint)
    if not (as_open_clip(text) or Path(text).is_dir()):
        architecture = _architecture(open_clip, text, where, has_checkpoint=weights is not None)
        if architecture is not None and weights is not None:
            return _checked(OpenClipSource(where, architecture, {}, weights, None))
        text = f"{HUB}{text}"
    folder = model_folder(text, where=where, revision=revision)
    path = folder / OPEN_CLIP
    if not path.is_file():
        raise ModelError(
            f"has no {OPEN_CLIP}",
            where=where,
            remedy="Give a folder that open_clip saved, or an architecture with a checkpoint.",
        )
    require_plain_files(folder)
    with loading(where):
        config = read_json_object(path)
    weights = weights or open_clip_weights(folder)
    if weights is None:
        raise ModelError("has no weights that open_clip saved", where=where)
    return _checked(
        OpenClipSource(
            where,
            config.get("model_cfg", {}),
            config.get("preprocess_cfg", {}),
            weights,
            folder,
            on_hub=text.startswith(HUB),
        )
    )


def _architecture(
    open_clip: Any, name: str, where: str, *, has_checkpoint: bool
) -> dict[str, Any] | None:
    """Return the configuration of an architecture; None of what must be a name on the hub."""
    known = open_clip.list_models()
    if name in known:
        if has_checkpoint:
            found: dict[str, Any] = open_clip.get_model_config(name)
            return found
        raise ModelError(
            "is an architecture of open_clip, without weights",
            where=where,
            remedy="Give its checkpoint too, or a model by its name on the hub (hf-hub:ORG/NAME).",
        )
    if "/" not in name:
        raise ModelError(
            "there is no such folder, and open_clip has no such architecture",
            where=where,
            remedy=did_you_mean(name, known)
            or "python -c 'import open_clip' lists them: open_clip.list_models().",
        )
    return None


def _checked(source: OpenClipSource) -> OpenClipSource:
    """Refuse what open_clip would do without being asked, or cannot do here."""
    config, where = source.model_cfg, source.where
    if not (
        isinstance(config, dict)
        and isinstance(source.preprocess_cfg, dict)
        and all(isinstance(config.get(key), dict) for key in ("vision_cfg", "text_cfg"))
        and type(config.get("embed_dim")) is int
    ):
        raise ModelError(
            "expected 'model_cfg' with 'embed_dim', 'vision_cfg' and 'text_cfg'",
            where=f"{where}, {OPEN_CLIP}",
        )
    require_modest_values(config, where)
    vision, text = config["vision_cfg"], config["text_cfg"]
    cleaning = text.get("tokenizer_kwargs") or {}
    refused = {
        "a decoder beside its towers (CoCa)": "multimodal_cfg" in config,
        "a vision tower by its path": ":" in str(vision.get("timm_model_name")),
        f"a tokenizer with {cleaning}": not set(cleaning) <= _CLEANING,
    }
    for what, found in refused.items():
        if found:
            raise ModelError(f"asks for {what}, which is not supported", where=where)
    return source
