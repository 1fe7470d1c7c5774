"""Limits of what a model's config.json may say: modules are made of it before weights are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rankfield.errors import ModelError
from rankfield.files import read_json_object

__all__ = ["require_modest", "require_modest_values"]

_MOST_PARTS = 2000
_PARTS = ("layers", "depth", "blocks", "stages", "heads", "experts", "groups")
_LARGEST = 1 << 24
_UNBOUNDED = frozenset(["theta", "base", "token", "id", "ids", "seed", "scale", "factor", "alpha"])
"""Words in the names of numbers that are no sizes."""


def require_modest(folder: Path) -> None:
    """Look at every config.json of a model's folder.

    Raises:
        InputError: one is malformed.
        ModelError: it has a size that no model has, of which making the modules
            would take hours or all memory.
    """
    for path in sorted(folder.rglob("config.json")):
        require_modest_values(read_json_object(path), str(path))


def require_modest_values(config: dict[str, Any], where: str) -> None:
    """Look at the numbers of one configuration.

    Raises:
        ModelError: as `require_modest`.
    """
    for name, number in _sizes("", config):
        most = _MOST_PARTS if any(part in name for part in _PARTS) else _LARGEST
        if abs(number) > most:
            raise ModelError(
                f"expected {name!r} to be {most:,} at most, found {str(number)[:40]}",
                where=where,
                remedy="Fetch or save the model again.",
            )


def _sizes(name: str, value: Any) -> Iterator[tuple[str, int]]:
    """Yield the whole numbers in a configuration that may be sizes, with their names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(inner, int | list) or _UNBOUNDED.isdisjoint(key.split("_")):
                yield from _sizes(key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _sizes(name, inner)
    elif isinstance(value, int):
        yield name, value
