"""JSON and TOML from untrusted sources: absurd nesting and numbers are a `ValueError` too."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any, NoReturn

__all__ = ["MAX_DEPTH", "parse_json", "parse_toml", "require_shallow"]

MAX_DEPTH = 100
"""Lists and tables in each other; more could not be written again within Python's stack."""
_KEY_PARTS = 100


def parse_json(text: str | bytes, *, depth: int = MAX_DEPTH, finite: bool = True) -> Any:
    """Return what a JSON text holds.

    Args:
        text: the JSON.
        depth: how many lists and tables may lie in each other.
        finite: refuse NaN, infinities and numbers that no float holds (1e999).

    Raises:
        ValueError: not JSON (then a `json.JSONDecodeError`), not `finite`, a number of thousands of
            digits, or nested deeper than `depth`.
    """
    try:
        if finite:
            value = json.loads(text, parse_float=_finite, parse_constant=_refuse)
        else:
            value = json.loads(text)
    except RecursionError:
        raise _too_deep(depth) from None
    require_shallow(value, depth)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text holds.

    Raises:
        ValueError: not TOML (then a `tomllib.TOMLDecodeError`), a number of thousands of digits, a
            key of over a hundred parts, or nested deeper than `MAX_DEPTH`.
    """
    for number, line in enumerate(text.splitlines(), 1):
        # tomllib takes quadratic time over the parts of a key
        if line.count(".") > _KEY_PARTS and line.partition("=")[0].count(".") > _KEY_PARTS:
            raise ValueError(f"more than {_KEY_PARTS} dots in the key of line {number}")
    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise _too_deep(MAX_DEPTH) from None
    require_shallow(value)
    return value


def require_shallow(value: Any, depth: int = MAX_DEPTH) -> None:
    """Raise `ValueError` if more than `depth` lists and tables lie in each other."""
    level = [value]
    for _ in range(depth):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(v for v in item.values() if isinstance(v, dict | list))
            elif isinstance(item, list):
                inner.extend(v for v in item if isinstance(v, dict | list))
        if not inner:
            return
        level = inner
    raise _too_deep(depth)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _too_deep(depth: int) -> ValueError:
    return ValueError(f"nested deeper than {depth} levels")
