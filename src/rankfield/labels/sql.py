"""Names, texts and paths as DuckDB's SQL writes them."""

from __future__ import annotations

from pathlib import Path

from rankfield.paths import literal_pattern

__all__ = ["quote_name", "quote_path", "quote_text"]


def quote_name(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def quote_path(path: Path) -> str:
    """Return a file's path as SQL writes it: itself alone, and no pattern.

    Raises:
        InputError: it cannot be written so (`paths.literal_pattern`).
    """
    return quote_text(literal_pattern(path))
