"""What can be wrong with a data set, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Problem", "Severity"]

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a data set.

    `row` is the index into the table, counted from 0, or None for the table as a whole; `item` the
    place in a list of images, from 0, or None where there is no list. `kind` is a short fixed
    phrase ("duplicate id"), `message` says what was found. An "error" breaks
    training or measurement; a "warning" is allowed but worth knowing. `count` is above 1 only in
    an entry without a row that stands for the rows not listed.
    """

    table: str
    row: int | None
    field: str
    kind: str
    message: str
    severity: Severity = "error"
    count: int = 1
    item: int | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = f", field {self.field!r}" if self.field else ""
        item = "" if self.item is None else f", item {self.item}"
        return f"{self.table}{row}{column}{item}: {self.message}"
