"""The stores that an index can be kept in, by name."""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankfield.errors import InputError
from rankfield.messages import did_you_mean

if TYPE_CHECKING:
    from rankfield.index.base import Index
    from rankfield.index.metadata import Header

__all__ = ["STORES", "drop_store", "open_index", "store_named", "store_place"]


class _Stores(UserDict[str, Any]):
    """The stores, each loaded when it is asked for: the names alone, of help, need no library."""

    def __getitem__(self, name: str) -> type[Index]:
        found: type[Index] | str = super().__getitem__(name)
        if not isinstance(found, str):
            return found
        module, _, public = found.partition(".")
        store: type[Index] = getattr(import_module(f"rankfield.index.{module}"), public)
        return store


STORES = _Stores(
    {
        "exact": "exact.ExactIndex",
        "lancedb": "lancedb.LanceIndex",
        "milvus": "milvus.MilvusIndex",
    }
)
"""Name → implementation, or its module and name. A new store is a file and a line here."""


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


def store_place(text: str) -> tuple[str, str]:
    """Return the name of a store and its place, of `NAME` or `NAME:PLACE`.

    Raises:
        InputError: an unknown name, or a place for the exact store, which has none.
    """
    name, _, place = text.partition(":")
    store_named(name)
    if place and name == "exact":
        raise InputError(
            f"expected no place, found {place!r}", where="store exact", remedy="--store exact"
        )
    return name, place


def drop_store(folder: Path, header: Header) -> None:
    """Remove the copy that a store keeps elsewhere for the index in a folder.

    Raises:
        InputError: the store cannot be reached.
    """
    from rankfield.index.candidates import CandidateIndex

    store = store_named(header.store)
    if header.metadata.store_place and issubclass(store, CandidateIndex):
        store.open_store(folder, header.metadata).drop()


def open_index(folder: str | Path) -> Index:
    """Open an index of any store.

    Raises:
        InputError: it is missing, damaged, or of an unknown store.
    """
    from rankfield.index.metadata import header_before, read_header

    try:
        header = read_header(folder)
    except InputError:
        before = header_before(folder)
        if before is None:
            raise
        header = before
    return store_named(header.store).open(folder)
