"""The parts before and after the one of a list that a page shows."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["neighbours"]


def neighbours(
    start: int, size: int, count: int, address: Callable[[int], str]
) -> dict[str, str | None]:
    """Return `before` and `after`: the addresses of both parts, None where there is none.

    Args:
        start: place of the first entry that is shown, from 0.
        size: how many are shown at once.
        count: how many there are.
        address: takes where a part begins.
    """
    after = start + size
    return {
        "before": address(max(start - size, 0)) if start else None,
        "after": address(after) if after < count else None,
    }
