"""What is said where sentence-transformers is missing, or older than what is used of it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rankfield.extras import needs_extra

__all__ = ["needs_library"]


def needs_library(where: str) -> AbstractContextManager[None]:
    """Return `needs_extra` for a block that imports from sentence-transformers.

    Args:
        where: the module that imports.
    """
    problem = "sentence-transformers 6.2 or later is not installed"
    return needs_extra("sentence-transformers", problem, where)
