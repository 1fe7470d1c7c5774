"""Where a neighbour of a file lies, said without saying where on this machine both are."""

from __future__ import annotations

import os
import re
from pathlib import Path, PureWindowsPath

__all__ = ["bare_name", "is_absolute", "nearby_place", "nearby_text"]


def nearby_text(place: str | Path, file: str | Path) -> str:
    """Return the path of a folder from the folder of a file that is written, "/" between its parts.

    Empty where the two share no folder but one above the user's own, such as the root: the path
    would then tell how this machine is laid out.
    """
    if not str(place):
        return ""
    target, folder = Path(place).resolve(), Path(file).resolve().parent
    try:
        common = Path(os.path.commonpath([target, folder]))
    except ValueError:  # on other drives
        return ""
    if common == Path(common.anchor) or common in _home().parents:
        return ""
    return Path(os.path.relpath(target, folder)).as_posix()


def nearby_place(text: object, file: str | Path) -> Path | None:
    """Return the folder that a file names by `nearby_text`; None where it names none.

    An absolute path, also of another system, is not followed: who wrote the file could have the
    program look anywhere, or ask another machine. Who reads what is there must compare its
    fingerprint first.
    """
    if not isinstance(text, str) or not text or "\0" in text or is_absolute(text):
        return None
    return (Path(file).resolve().parent / text).resolve()


def is_absolute(text: str) -> bool:
    """Return whether a path begins at a root, a drive or a home, on any system."""
    return Path(text).is_absolute() or bool(PureWindowsPath(text).anchor) or text.startswith("~")


def bare_name(text: str) -> str:
    """Return the last part of a path, of whatever system."""
    return re.split(r"[/\\]", text.rstrip("/\\"))[-1]


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path()
