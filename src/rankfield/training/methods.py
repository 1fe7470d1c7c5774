"""Ways of training by name: what each sets in a recipe's loss and batch."""

from __future__ import annotations

import difflib
from typing import Any

from rankfield.errors import RecipeError

__all__ = ["DEFAULT_METHOD", "METHODS", "method_settings"]

_PAIRS: dict[str, Any] = {"documents_per_query": 1, "choice": "uniform", "more_queries": 0}

METHODS: dict[str, dict[str, dict[str, Any]]] = {
    "ranked": {"loss": {}, "batch": {}},
    "gcl": {
        "loss": {"target": "pair", "direction": "both", "weight": "exponential"},
        "batch": _PAIRS,
    },
    "clip": {
        "loss": {"target": "pair", "direction": "both", "weight": "constant"},
        "batch": _PAIRS,
    },
}
"""Method → section → what differs from a recipe's defaults.

ranked: rankfield's own, the default. gcl: the loss of the paper (arXiv 2404.08535). clip: that of
CLIP, all judged pairs alike.
"""

DEFAULT_METHOD = "ranked"


def method_settings(name: str) -> dict[str, dict[str, Any]]:
    """Return what a method sets: section → key → value.

    Raises:
        RecipeError: an unknown method, with the nearest known one.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, 1)
        raise RecipeError(
            f"unknown; expected one of {', '.join(METHODS)}",
            where=f"method {name!r}",
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
    return METHODS[name]
