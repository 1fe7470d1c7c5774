"""When losses take tiles, and how much memory these may take."""

from __future__ import annotations

import math

__all__ = ["DEFAULT_MIB", "check_memory", "pays"]

DEFAULT_MIB = 128.0
"""MiB of logits that are kept unless something else is asked for: 5,792 × 5,792 in float32."""

_PAYS_FROM = 2**19  # logits; of 640 × 640 both forms take as long, of 768 × 768 tiles are ahead


def pays(queries: int, documents: int) -> bool:
    """Return whether a batch of so many is computed faster in tiles, by measurement."""
    return queries * documents >= _PAYS_FROM


def check_memory(memory_mib: float) -> None:
    """Raise a ValueError unless the budget is a number ≥ 0."""
    if not 0.0 <= memory_mib < math.inf:
        raise ValueError(f"expected a memory_mib of 0 or more MiB, found {memory_mib}")
