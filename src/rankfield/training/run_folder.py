"""The folder of a run."""

from __future__ import annotations

from pathlib import Path

import tomli_w

from rankfield.files import new_file
from rankfield.outputs import already_exists
from rankfield.training.recipe import Recipe

__all__ = ["make_run_folder"]


def make_run_folder(out: Path, recipe: Recipe) -> None:
    """Make the folder of a new run, with its `recipe.toml`.

    Raises:
        OutputError: it exists, or it cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        out.mkdir()
    except FileExistsError:  # another run has made it since the first check
        raise already_exists(out, "Name another folder.") from None
    values = recipe.model_dump(mode="json", exclude_none=True)
    try:
        with new_file(out / "recipe.toml") as temporary:
            temporary.write_text(tomli_w.dumps(values), "utf-8")
    except BaseException:
        out.rmdir()
        raise
