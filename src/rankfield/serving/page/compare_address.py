"""The address of a comparison: one query, and two to four ways to answer it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from rankfield.errors import InputError
from rankfield.serving.page.address import read_number, read_whole
from rankfield.serving.page.order import Order

__all__ = ["MOST", "Column", "CompareQuery"]

MOST = 4
_FEWEST, _USUAL, _DEEPEST = 2, 10, 50
_KEYS = ("index", "hybrid", "diversity")


@dataclass(frozen=True)
class Column:
    """A way to answer: an index by its name, and an order."""

    index: str
    order: Order = field(default_factory=Order)

    def __str__(self) -> str:
        """Return it in words."""
        return ", ".join(part for part in (self.index, str(self.order)) if part)


@dataclass(frozen=True)
class CompareQuery:
    """What an address asks for.

    words: what is searched for (`q`).
    query_id: of a query of the set (`query`); it counts while the words are its own, or absent.
    k: how many results of each.
    columns: `index.N`, `hybrid.N` and `diversity.N`, N from 1 to 4; without an index there is none.
    """

    words: str = ""
    query_id: str = ""
    k: int = _USUAL
    columns: tuple[Column, ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> CompareQuery:
        """Read the pairs of an address; what is empty counts as absent.

        Raises:
            InputError: an unknown key, a value that does not fit, or one column alone.
        """
        plain: dict[str, str] = {}
        rows: dict[str, dict[str, str]] = {}
        for key, value in pairs:
            name, dot, number = key.partition(".")
            if key in ("q", "query", "k"):
                plain[key] = value.strip()
            elif dot and name in _KEYS and number in map(str, range(1, MOST + 1)):
                rows.setdefault(number, {})[name] = value.strip()
            else:
                raise InputError(f"unknown key {key[:100]!r}", where="query, address")
        columns = tuple(_column(n, row) for n, row in sorted(rows.items()) if row.get("index"))
        if columns and len(columns) < _FEWEST:
            raise InputError(
                f"expected {_FEWEST} to {MOST} columns, found {len(columns)}", where="query, index"
            )
        k = read_whole("k", plain["k"]) if plain.get("k") else _USUAL
        if not 1 <= k <= _DEEPEST:
            raise InputError(f"expected 1 to {_DEEPEST}, found {k}", where="query, k")
        return cls(plain.get("q", ""), plain.get("query", ""), k, columns)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is searched for."""
        return not self.words and not self.query_id

    def pairs(self) -> list[tuple[str, str]]:
        """Return the pairs that `of` reads."""
        found = [("q", self.words)] if self.words else []
        found += [("query", self.query_id)] if self.query_id else []
        found += [("k", str(self.k))] if self.k != _USUAL else []
        for number, column in enumerate(self.columns, 1):
            found.append((f"index.{number}", column.index))
            found += [(f"hybrid.{number}", "1")] if column.order.hybrid else []
            diversity = column.order.diversity
            found += [(f"diversity.{number}", f"{diversity:g}")] if diversity else []
        return found

    def address(self, **changes: Any) -> str:
        """Return the address with some values changed."""
        return "/compare?" + urlencode(replace(self, **changes).pairs())


def _column(number: str, row: dict[str, str]) -> Column:
    text = row.get("diversity") or "0"
    diversity = read_number(f"diversity.{number}", text, 0, 1)
    return Column(row["index"], Order(row.get("hybrid", "0") not in ("", "0"), diversity))
