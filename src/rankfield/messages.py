"""Parts of error messages: how many more there are, which known name was meant, a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

__all__ = ["did_you_mean", "first_line", "listed", "more"]


def more(count: int, unit: str = "") -> str:
    """Return " (and 3 more rows)" of 3 and "row", or "" where there are no more."""
    if count <= 0:
        return ""
    what = f" {unit}{'s' if count > 1 else ''}" if unit else ""
    return f" (and {count:,} more{what})"


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; the name of its class if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def listed(texts: Sequence[str], most: int) -> str:
    """Return the first `most` texts, comma-separated, and how many more there are."""
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def did_you_mean(
    name: str,
    known: Iterable[str],
    *,
    shown: Mapping[str, str] | None = None,
    cutoff: float = 0.6,
) -> str:
    """Return "Did you mean 'title'?" with the known name nearest to `name`, or "".

    Args:
        name: what was given.
        known: the names that there are.
        shown: known name → how to show it; as it is if None.
        cutoff: least similarity of `difflib.get_close_matches`.
    """
    near = get_close_matches(name, list(known), 1, cutoff)
    return f"Did you mean {(shown[near[0]] if shown else near[0])!r}?" if near else ""
