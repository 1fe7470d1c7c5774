"""Code that a recipe or an option names: none of it is imported unless the user allows it."""

from __future__ import annotations

from collections.abc import Collection

from rankfield.errors import RecipeError

__all__ = ["refuse_code"]


def refuse_code(names: Collection[str], *, where: str) -> None:
    """Refuse names of code that would be imported, if there are any.

    Importing a module runs it, whatever it is called for.

    Args:
        names: such as "loss.weight = 'module:function'".
        where: what names them.

    Raises:
        RecipeError: there are some; the message lists them.
    """
    if names:
        raise RecipeError(
            f"would import and run code of this machine: {', '.join(names)}",
            where=where,
            remedy="If you trust it, add --allow-code (in Python: allow_code=True).",
        )
