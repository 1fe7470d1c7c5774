"""Has the Python API show fields as lists; loaded by Griffe, which reads the docstrings."""

from __future__ import annotations

from typing import Any

import griffe
from field_lists import as_list

__all__ = ["FieldLists"]


class FieldLists(griffe.Extension):  # type: ignore[misc]
    """Rewrites the docstrings of classes as they are collected."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Rewrite the docstring of a class that has fields."""
        if cls.docstring:
            cls.docstring.value = as_list(cls.docstring.value, set(cls.members))
