"""The stores that an index can be kept in, by name."""

from __future__ import annotations

from pathlib import Path

from rankfield.errors import InputError
from rankfield.index.base import Index
from rankfield.index.exact import ExactIndex
from rankfield.index.metadata import read_header
from rankfield.messages import did_you_mean

__all__ = ["STORES", "open_index", "store_named"]

STORES: dict[str, type[Index]] = {
    "exact": ExactIndex,
}
"""Name → implementation. A new store is a file and a line here."""


def store_named(name: str) -> type[Index]:
    """Return one of `STORES`.

    Raises:
        InputError: an unknown name.
    """
    if name not in STORES:
        raise InputError(
            f"expected one of {', '.join(STORES)}, found {name!r}",
            where="store",
            remedy=did_you_mean(name, STORES),
        )
    return STORES[name]


def open_index(folder: str | Path) -> Index:
    """Open an index of any store.

    Raises:
        InputError: it is missing, damaged, or of an unknown store.
    """
    return store_named(read_header(folder).store).open(folder)
