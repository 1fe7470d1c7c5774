"""Folders of long work that goes on where it stopped: a mark says which settings it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rankfield.errors import OutputError
from rankfield.files import read_json, write_json

__all__ = ["begin_or_go_on"]


def begin_or_go_on(folder: Path, mark: str, settings: dict[str, Any], what: str) -> None:
    """Mark a new folder with settings, or refuse one that is not marked with the same.

    Args:
        folder: of the work.
        mark: name of the file that says the settings.
        settings: what JSON holds.
        what: the work, for the message: "a loop of these settings".

    Raises:
        OutputError: the folder exists and is something else, or it cannot be written.
        InputError: the mark is not JSON.
    """
    path = folder / mark
    if not folder.exists():
        write_json(path, settings)
    elif not (path.is_file() and read_json(path) == settings):
        raise OutputError(
            f"already exists and is not {what}",
            where=str(folder),
            remedy="Name another folder, or remove it first.",
        )
