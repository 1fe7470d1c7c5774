"""The part of a recipe that models, pages and cards show: known keys, no path of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from rankfield.encoders.source import LOCAL as FOLDER
from rankfield.nearby import bare_name, is_absolute
from rankfield.settings import present_words
from rankfield.training.encoder import MODEL_KEYS
from rankfield.training.recipe import Recipe, change_paths

__all__ = ["LOCAL", "published_recipe", "recipe_of_metadata"]

LOCAL = "./"
"""Begins the name of a base model that was a folder elsewhere: never a hub's id."""


def published_recipe(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's values for others to read.

    Unknown keys are left out, as the file may be anything. A path (data.dataset, negatives.file,
    path of judgments) becomes its last part, "shop-split"; an absolute path of a base model
    becomes "./clip".

    Args:
        values: section → key → value, of a recipe or of any TOML file.
    """
    found = _known(present_words(values, Recipe), Recipe)
    change_paths(found, bare_name)
    encoder = found.get("encoder", {})
    for key in (*MODEL_KEYS, "checkpoint"):
        name = encoder.get(key)
        path = name.removeprefix(FOLDER) if isinstance(name, str) else ""
        if is_absolute(path):
            encoder[key] = LOCAL + bare_name(path)
    return found


def recipe_of_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe in a model's metadata as TOML can hold it and others may read it.

    Keys without a value are left out; a model that was not trained here has no recipe: {}.
    """
    recipe = metadata.get("recipe")
    found: Any = _without_none(published_recipe(recipe)) if isinstance(recipe, Mapping) else {}
    return dict(found)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_none(v) for v in value]
    return value


def _known(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the values under the model's keys, and also in its tables and lists of tables."""
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
