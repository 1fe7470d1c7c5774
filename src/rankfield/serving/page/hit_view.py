"""What is shown of a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rankfield.query import Hit
from rankfield.query.plain import plain_value

__all__ = ["hit_values", "title_of"]

_DETAILS = 4


def hit_values(hit: Hit, texts: Sequence[str], has_image: bool) -> dict[str, Any]:
    """Return what every page shows of a document.

    Args:
        hit: with the stored columns.
        texts: which of them are texts of the model.
        has_image: whether a small image of it can be shown.
    """
    return {
        "doc_id": hit.doc_id,
        "title": title_of(hit, texts),
        "details": _details(hit, texts),
        "has_image": has_image,
    }


def title_of(hit: Hit, texts: Sequence[str]) -> str:
    """Return the first text of a document, or its id."""
    found = (str(hit.document[name]) for name in texts if hit.document.get(name))
    return next(found, hit.doc_id)[:300]


def _details(hit: Hit, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and value of the first further columns of a document."""
    left_out = (*texts[:1], "doc_id")
    found = [
        (name, str(plain_value(value))[:60])
        for name, value in hit.document.items()
        if name not in left_out and value is not None
    ]
    return found[:_DETAILS]
