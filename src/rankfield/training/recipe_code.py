"""The code that a recipe names: a stranger's recipe imports nothing without leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.errors import RecipeError

if TYPE_CHECKING:
    from rankfield.training.recipe import Recipe

__all__ = ["PACKAGE", "named_code", "require_leave"]

PACKAGE = "package:"
"""Before the name of an installed package that holds a model."""


def named_code(recipe: Recipe) -> dict[str, str]:
    """Return key → "module:function" or "package:NAME" of all that training would import.

    Importing a module runs it, whatever it is called for.
    """
    encoder = recipe.encoder
    models = {
        "encoder.model": encoder.model,
        "encoder.text_model": encoder.text_model,
        "encoder.vision_model": encoder.vision_model,
    }
    found = {key: name for key, name in models.items() if name.startswith(PACKAGE)}
    if ":" in recipe.loss.weight:
        found["loss.weight"] = recipe.loss.weight
    return found


def require_leave(recipe: Recipe, *, where: str) -> None:
    """Refuse a recipe that names code.

    Raises:
        RecipeError: it does; the message says what would be imported.
    """
    found = named_code(recipe)
    if found:
        names = ", ".join(f"{key} = {name!r}" for key, name in found.items())
        raise RecipeError(
            f"would import and run code of this machine: {names}",
            where=where,
            remedy="If you trust the recipe, add --allow-code (in Python: allow_code=True).",
        )
