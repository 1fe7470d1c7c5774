"""How results are ordered: what the pages let one choose beside the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Order"]

_DIVERSE, _HYBRID, _PLAIN = 192, 200, 1_000


@dataclass(frozen=True)
class Order:
    """How results are ordered.

    hybrid: words are looked for too (BM25).
    diversity: from 0 to 1.
    """

    hybrid: bool = False
    diversity: float = 0.0

    @property
    def depth(self) -> int:
        """How many results there are at most, page by page: `Query.depth`."""
        return min(_DIVERSE if self.diversity else _PLAIN, _HYBRID if self.hybrid else _PLAIN)

    def settings(self) -> dict[str, Any]:
        """Return what `Query.of` takes for it."""
        found: dict[str, Any] = {"hybrid": {}} if self.hybrid else {}
        if self.diversity:
            found["mmr"] = {"diversity": self.diversity, "candidates": _DIVERSE + 1}
        return found

    def __str__(self) -> str:
        """Return it in words; "" of the usual one."""
        words = ["with BM25"] if self.hybrid else []
        words += [f"diversity {self.diversity:g}"] if self.diversity else []
        return ", ".join(words)
