"""What a recipe sets to fine-tune a named pretrained encoder without losing what it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rankfield.encoders import Encoder
from rankfield.encoders.folder_kind import MODULES, dual_of_modules, is_open_clip
from rankfield.encoders.foreign import open_clip_encoder, pretrained_encoder
from rankfield.encoders.saved import HEADER
from rankfield.encoders.source import LOCAL, PACKAGE, as_open_clip, model_folder
from rankfield.errors import InputError
from rankfield.schema import Field, RankingDataset
from rankfield.training.translation import Translation

__all__ = ["pretrained_start"]

_OPTIMIZER = {"learning_rate": 2e-5, "weight_decay": 0.01, "warmup": 0.1, "layer_decay": 0.9}
"""Full fine-tuning of a transformer: a fiftieth of the rate that suits weights drawn at random."""
_SHARES = [0.3, 0.5, 0.7]
_TEXT_SCALE = 20.0
"""The usual inverse temperature of text encoders; CLIP and its kin keep the recipe's own."""


def pretrained_start(
    name: str, dataset: RankingDataset, *, allow_code: bool = False
) -> Translation:
    """Return the settings of a recipe that fine-tunes a pretrained encoder, and notes on them.

    A learning rate and layer-wise decay for weights that are good already; the share of the trained
    weights that dev queries choose (`average.wise`), where there are dev queries; of the data's
    fields those that the encoder takes.

    Args:
        name: a folder, a hub id, "package:NAME", or "hf-hub:ID" of open_clip. It is loaded once.
        dataset: what is trained on.
        allow_code: whether a package may be imported.

    Raises:
        ModelError: it cannot be reached or loaded.
        InputError: a model that rankfield saved, or one that takes none of a side's fields.
        RecipeError: a package that is not allowed.
        MissingExtraError: sentence-transformers or open_clip is needed and not installed.
    """
    folder = model_folder(name, allow_code=allow_code)
    where = f"model {name}"
    if (folder / HEADER).is_file():
        raise InputError(
            "is a model that rankfield has trained",
            where=where,
            remedy="Name the encoder that it began with.",
        )
    kind = _kind(name, folder, where)
    if kind == "open-clip":
        encoder: Encoder = open_clip_encoder(name if as_open_clip(name) else folder)
    else:
        encoder = pretrained_encoder(folder, where=where)
    notes: list[str] = []
    data = {}
    for side, fields in (("query", dataset.query_fields), ("document", dataset.document_fields)):
        data[f"{side}_weights"] = _weights(encoder, fields, side, where, notes)
    settings: dict[str, dict[str, Any]] = {
        "encoder": {"kind": kind, "model": _written(name)},
        "data": data,
        "optimizer": dict(_OPTIMIZER),
    }
    if "image" not in encoder.modalities:
        settings["loss"] = {"logit_scale": _TEXT_SCALE}
    if dataset.has_subsets and dataset.judged_splits("dev"):
        settings["average"] = {"wise": list(_SHARES)}
    else:
        notes.append(
            "There are no dev queries to choose by how much of the base model stays "
            "(average.wise): `rankfield split` holds some out."
        )
    return Translation(f"the encoder {name}", settings, tuple(notes))


def _kind(name: str, folder: Path, where: str) -> str:
    if as_open_clip(name) or is_open_clip(folder):
        return "open-clip"
    if (folder / MODULES).is_file() and dual_of_modules(folder, where) is None:
        return "sentence-transformers"
    return "transformers"


def _weights(
    encoder: Encoder, fields: tuple[Field, ...], side: str, where: str, notes: list[str]
) -> dict[str, float]:
    """Return the weights of the fields that an encoder takes; a note names the others."""
    taken = {f.name: f.weight for f in fields if f.modality in encoder.modalities}
    others = [f"{f.name} ({f.modality})" for f in fields if f.name not in taken]
    takes = " and ".join(sorted(encoder.modalities))
    if not taken:
        raise InputError(
            f"takes {takes}, found the {side} fields {', '.join(others)}",
            where=where,
            remedy="Take a model of text and images, or other data.",
        )
    if others:
        notes.append(f"The encoder takes {takes}: without the {side} field {', '.join(others)}.")
    return taken


def _written(name: str) -> str:
    """Return a name as a recipe can hold it anywhere: a folder by its whole path."""
    if name.startswith(PACKAGE):
        return name
    folder = Path(name.removeprefix(LOCAL))
    prefix = LOCAL if name.startswith(LOCAL) else ""
    return f"{prefix}{folder.resolve()}" if folder.is_dir() else name
