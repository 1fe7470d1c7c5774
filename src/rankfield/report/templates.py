"""How the pages' templates are read: escaped by default, and an unknown name is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rankfield.escaping import visible_controls

__all__ = ["TEMPLATES", "template_environment"]

TEMPLATES = Path(__file__).parent
"""Where the templates and their styles lie."""


def template_environment() -> Environment:
    """Return a Jinja environment over `TEMPLATES`; a page adds its own filters.

    What a template shows has no control or overriding characters, and is escaped as HTML.
    """
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _shown(value: Any) -> Any:
    return visible_controls(value) if type(value) is str else value
