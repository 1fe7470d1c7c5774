"""Names, texts and paths as DuckDB's SQL writes them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["quote_name", "quote_path", "quote_text"]


def quote_name(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def quote_path(path: Path) -> str:
    """Return a file's path as SQL writes it, its `*`, `?` and `[` meaning themselves.

    DuckDB takes a path for a pattern wherever one of them is in it.
    """
    return quote_text("".join(f"[{c}]" if c in "*?[" else c for c in str(path)))
