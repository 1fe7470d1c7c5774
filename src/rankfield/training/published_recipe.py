"""What of a recipe goes into models, pages and cards: its own keys, and no path of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from rankfield.nearby import bare_name, is_absolute
from rankfield.settings import present_words
from rankfield.training.recipe import Recipe

__all__ = ["LOCAL", "published_recipe"]

LOCAL = "./"
"""Begins the name of a base model that was a folder elsewhere: never a hub's id."""

_MODELS = ("model", "text_model", "vision_model")


def published_recipe(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's values for others to read.

    Keys that no recipe has are left out, as the file may be anything. Of a path the name stays:
    "shop-split" of data.dataset, also of negatives.file and the judgments' path; of a base model's
    folder, where the path is whole, "./clip".

    Args:
        values: section → key → value, of a recipe or of any TOML file.
    """
    found = _known(present_words(values, Recipe), Recipe)
    places = [(found.get("data"), "dataset"), (found.get("negatives"), "file")]
    places += [(source, "path") for source in found.get("judgments", [])]
    for section, key in places:
        if section is not None and isinstance(section.get(key), str):
            section[key] = bare_name(section[key])
    encoder = found.get("encoder", {})
    for key in _MODELS:
        name = encoder.get(key)
        if isinstance(name, str) and is_absolute(name):
            encoder[key] = LOCAL + bare_name(name)
    return found


def _known(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the values under the model's keys, and in its tables and lists of tables alike."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key not in model.model_fields:
            continue
        kind: Any = model.model_fields[key].annotation
        items = get_args(kind)
        if _is_table(kind):
            if isinstance(value, Mapping):
                found[key] = _known(value, kind)
        elif items and _is_table(items[0]):
            if isinstance(value, list):
                found[key] = [_known(one, items[0]) for one in value if isinstance(one, Mapping)]
        else:
            found[key] = value
    return found


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
