"""What is said where sentence-transformers is missing, or older than what is used of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rankfield.errors import MissingExtraError

__all__ = ["needs_library"]


@contextmanager
def needs_library(where: str) -> Iterator[None]:
    """Import from sentence-transformers in the block; `where` is the module that does.

    Raises:
        MissingExtraError: an import in it fails.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            "sentence-transformers 6.2 or later is not installed",
            where=where,
            remedy="Install rankfield[sentence-transformers].",
        ) from error
