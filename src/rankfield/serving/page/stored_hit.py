"""A document that no search found, as a result without a rank."""

from __future__ import annotations

from collections.abc import Sequence

from rankfield.errors import DataError
from rankfield.query import Hit
from rankfield.serving.served_index import ServedIndex

__all__ = ["stored_hit"]


def stored_hit(indexes: Sequence[ServedIndex], doc_id: str) -> tuple[ServedIndex, Hit] | None:
    """Return the first index that has a document, and what it stores; None where none has it."""
    for served in indexes:
        try:
            (row,) = served.current().index.documents([doc_id]).iter_rows(named=True)
        except DataError:
            continue
        return served, Hit(0, doc_id, 0.0, 0.0, row)
    return None
