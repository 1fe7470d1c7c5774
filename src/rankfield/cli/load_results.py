"""Reading the results files that a command was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rankfield.errors import InputError

if TYPE_CHECKING:
    from rankfield.evaluation import Results

__all__ = ["load_results"]


def load_results(paths: Sequence[Path]) -> list[Results]:
    """Return the results of the files, in order.

    Raises:
        InputError: a file given twice, which would count as two runs, or one that cannot be read.
    """
    from rankfield.evaluation import Results

    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise InputError(
                "the same results are given twice", where=str(path), remedy="Name each file once."
            )
        seen.add(path.resolve())
    return [Results.load(path) for path in paths]
