"""Assertions on trained quantities, which must hold on every processor.

Sums in another order give other last bits, and training enlarges them: such a test holds by a wide
margin over seeds, threads and instruction sets. `make trained` runs them over all of these and
prints the smallest margin of each assertion.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["SEED", "assert_above"]

SEED = int(os.environ.get("TRAINED_SEED", "0"))
"""Seed of the training, which `make trained` varies."""


def assert_above(what: str, value: float, bound: float) -> None:
    """Assert value > bound, and note the margin in the file that TRAINED_MARGINS names."""
    if file := os.environ.get("TRAINED_MARGINS"):
        with Path(file).open("a", encoding="utf-8") as margins:
            margins.write(f"{value - bound:.4f}\t{what}\t{value:.4f} > {bound:.4f}\n")
    assert value > bound, what
