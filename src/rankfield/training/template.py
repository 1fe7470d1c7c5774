"""A recipe with a comment on every line, fitted to a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import tomli_w
from pydantic import BaseModel

from rankfield.errors import InputError
from rankfield.schema import Field, RankingDataset
from rankfield.training.methods import DEFAULT_METHOD, fitted_course, fitted_settings
from rankfield.training.pairs import TrainingPairs
from rankfield.training.recipe import Recipe, parse_recipe
from rankfield.training.translation import Translation

__all__ = ["recipe_text"]


def recipe_text(
    dataset: RankingDataset,
    *,
    method: str = DEFAULT_METHOD,
    weight: str | None = None,
    translation: Translation | None = None,
    start: Translation | None = None,
    allow_code: bool = False,
) -> str:
    """Return a complete TOML recipe for `dataset`: every key with its value and what it means.

    The batch never exceeds a quarter of the pairs with a weight above 0.

    Args:
        dataset: saved in a folder, which the recipe names.
        method: of `METHODS`.
        weight: a score-to-weight function in place of the method's own.
        translation: of another trainer's parameters, which come before the method's settings; its
            notes become comments.
        start: of a pretrained encoder (`pretrained_start`), which comes before both.
        allow_code: whether it may be "module:function", which is imported.

    Raises:
        InputError: the data set has no folder to name.
        RecipeError: an unknown method, or a weight function that does not exist or does not fit
            the scores.
    """
    if dataset.root is None:
        raise InputError("the data set has no folder; save it first", where=dataset.name)
    recipe = _fitted(
        dataset, dataset.root, method, weight, translation, start=start, allow_code=allow_code
    )
    lines = [
        *_summary(dataset),
        *_said(start, "For"),
        *_said(translation, "From the parameters of"),
        "",
    ]
    sections = []
    for name, info in Recipe.model_fields.items():
        value = getattr(recipe, name)
        entry = _list_entry(info.annotation)
        if isinstance(value, BaseModel):
            sections.append(_section(name, value))
        elif entry is not None:
            sections.append(_commented(name, entry))
        else:
            lines.append(_line(name, value, info.description))
    return "\n".join(lines) + "\n\n" + "\n\n".join(sections) + "\n"


def _said(translation: Translation | None, of: str) -> list[str]:
    """Return the notes of a translation, as comments."""
    if translation is None:
        return []
    notes = [f"# - {_one_line(note)}" for note in translation.notes]
    return [f"# {of} {_one_line(translation.source)}.", *notes]


def _fitted(
    dataset: RankingDataset,
    root: Path,
    method: str,
    weight: str | None,
    translation: Translation | None,
    *,
    start: Translation | None,
    allow_code: bool,
) -> Recipe:
    """Return the method's recipe for a data set: its batches and length fit the pairs it has."""
    given = start is not None or translation is not None
    values: dict[str, Any] = fitted_settings(method, dataset, pretrained=given)
    values["name"] = method
    values["data"] = {
        "dataset": str(root.resolve()),
        "query_weights": _weights(dataset.query_fields),
        "document_weights": _weights(dataset.document_fields),
    }
    size = 128
    if start is not None:
        _merge(values, start.settings)
    if translation is not None:
        size = translation.settings.get("batch", {}).get("size", size)
        _merge(values, translation.settings)
    if weight is not None:
        values["loss"]["weight"] = weight
    # the smallest batch: what fits is known once the pairs are
    small = {**values, "batch": values["batch"] | {"size": 2}}
    where = "--weight" if translation is None else f"parameters of {translation.source}"
    recipe = parse_recipe(small, where=where, allow_code=allow_code)
    pool = len(TrainingPairs.of(recipe, dataset).pool)  # refuses a weight that does not fit
    size = max(2, min(size, pool // 4))
    if translation is not None:
        _merge(values, translation.fitted(pool, size))
    values["batch"]["size"] = size
    for section, keys in fitted_course(method, pool, size, pretrained=given).items():
        values[section] = keys | values.get(section, {})
    return parse_recipe(values, where=where, allow_code=allow_code)


def _merge(values: dict[str, Any], settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Put settings by section into a recipe's nested values; "" is the top level."""
    for section, keys in settings.items():
        (values.setdefault(section, {}) if section else values).update(keys)


def _summary(dataset: RankingDataset) -> list[str]:
    """Return what the data set is, as comments."""
    pairs = len(dataset.training_judgments())
    scale = dataset.score_scale
    return [
        f"# Recipe for {_one_line(dataset.name)}: {len(dataset.queries):,} queries, "
        f"{len(dataset.documents):,} documents, {pairs:,} judged pairs to train on.",
        f"# Scores {scale.minimum:g} to {scale.maximum:g}"
        + (f": {_one_line(scale.meaning)}." if scale.meaning else "."),
    ]


def _one_line(text: str) -> str:
    """Make a text fit for a comment, which ends with its line and holds no control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _weights(fields: tuple[Field, ...]) -> dict[str, float]:
    return {field.name: field.weight for field in fields}


def _section(name: str, section: BaseModel) -> str:
    lines = [f"[{name}]"]
    for key, info in type(section).model_fields.items():
        lines.append(_line(key, getattr(section, key), info.description))
    return "\n".join(lines)


def _list_entry(annotation: Any) -> type[BaseModel] | None:
    """Return what a list of tables consists of; None for any other value of a recipe."""
    for entry in get_args(annotation):
        if isinstance(entry, type) and issubclass(entry, BaseModel):
            return entry
    return None


def _commented(name: str, entry: type[BaseModel]) -> str:
    """Return a table of a list as a comment: by default there is none."""
    lines = [f"# [[{name}]]"]
    for key, info in entry.model_fields.items():
        value = "…" if info.is_required() else info.default
        lines.append(f"# {_line(key, value, info.description)}")
    return "\n".join(lines)


def _line(key: str, value: Any, description: str | None) -> str:
    comment = f"  # {description}" if description else ""
    if value is None:
        return f"# {key} ={comment}"
    if isinstance(value, dict):
        inner = ", ".join(tomli_w.dumps({k: v}).strip() for k, v in value.items())
        return f"{key} = {{{inner}}}{comment}"
    if isinstance(value, list):
        text = ", ".join(tomli_w.dumps({"x": v}).strip().removeprefix("x = ") for v in value)
        return f"{key} = [{text}]{comment}"
    return f"{tomli_w.dumps({key: value}).strip()}{comment}"
