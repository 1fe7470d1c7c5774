"""The templates and files of the page: escaped, strict, from this folder only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rankfield.escaping import visible_controls

__all__ = ["FILES", "asset", "asset_address", "rendered"]

_ROOT = Path(__file__).parent

FILES: Mapping[str, str] = {
    "icon.svg": "image/svg+xml",
    "page.css": "text/css",
    "grade.js": "text/javascript",
    "results.js": "text/javascript",
    "search.js": "text/javascript",
    "step.js": "text/javascript",
}
"""What pages load, with its type."""


@cache
def asset(name: str) -> bytes:
    """Return one of `FILES`."""
    return (_ROOT / name).read_bytes()


@cache
def asset_address(name: str) -> str:
    """Return where one of `FILES` is: another address once its content is another one."""
    return f"/page/files/{name}?v={hashlib.sha256(asset(name)).hexdigest()[:12]}"


def rendered(name: str, values: Mapping[str, Any]) -> str:
    """Return a page; what comes from outside is shown as text, without control characters."""
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_ROOT),
        autoescape=True,
        finalize=lambda value: visible_controls(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset_address
    environment.filters["place"] = lambda text: quote(str(text), safe="")
    return environment
