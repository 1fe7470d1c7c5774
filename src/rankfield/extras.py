"""Packages that come with an extra: what is said where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rankfield.errors import MissingExtraError

__all__ = ["needs_extra"]


@contextmanager
def needs_extra(extra: str, problem: str, where: str = "") -> Iterator[None]:
    """Import optional packages in the block.

    Args:
        extra: of rankfield, which installs them.
        problem: what is said without them, as "peft is not installed".
        where: the option, setting or module that needs them.

    Raises:
        MissingExtraError: an import in the block fails.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            problem, where=where, remedy=f"pip install 'rankfield[{extra}]'"
        ) from error
