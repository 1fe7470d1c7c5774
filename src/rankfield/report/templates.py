"""How the pages' templates are read: escaped by default, and an unknown name is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["TEMPLATES", "template_environment"]

TEMPLATES = Path(__file__).parent
"""Where the templates and their styles lie."""


def template_environment() -> Environment:
    """Return a Jinja environment over `TEMPLATES`; a page adds its own filters."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
