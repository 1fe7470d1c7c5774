"""The address of a search page: what is searched for, as a form sends it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from rankfield.errors import InputError
from rankfield.query.parts import MAX_WEIGHT
from rankfield.serving.page.order import Order

__all__ = ["PagePart", "PageQuery", "PartKind", "read_number", "read_whole"]

PartKind = Literal["text", "like", "image"]
_KINDS = get_args(PartKind)


@dataclass(frozen=True)
class PagePart:
    """A weighted part beside the words.

    kind: "text", "like" (a document's id) or "image" (the SHA-256 of one that was sent).
    content: which.
    weight: of the words it is 1.
    """

    kind: PartKind
    content: str
    weight: float


@dataclass(frozen=True)
class PageQuery:
    """What an address asks for.

    index: which one; None where there is one.
    words: the first part, of weight 1.
    parts: further parts: `kind`, `part` and `weight`, repeated in this order.
    values: column → values of which a document has one: `is.COLUMN`, repeated.
    least, most: column of numbers → bound: `min.COLUMN`, `max.COLUMN`.
    filter: an expression.
    hybrid: words are looked for too (BM25).
    diversity: from 0 to 1.
    offset: of the page.
    explain: the rank of the result whose score is explained; 0: none.
    """

    index: str | None = None
    words: str = ""
    parts: tuple[PagePart, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: Mapping[str, str] = field(default_factory=dict)
    most: Mapping[str, str] = field(default_factory=dict)
    filter: str = ""
    hybrid: bool = False
    diversity: float = 0.0
    offset: int = 0
    explain: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> PageQuery:
        """Read the pairs of an address; what is empty counts as absent.

        Raises:
            InputError: an unknown key, or a value that does not fit; says which.
        """
        found: dict[str, Any] = {}
        values: dict[str, tuple[str, ...]] = {}
        bounds: dict[str, dict[str, str]] = {"min": {}, "max": {}}
        rows: dict[str, list[str]] = {"kind": [], "part": [], "weight": []}
        for key, value in pairs:
            head, dot, column = key.partition(".")
            if key in rows:
                rows[key].append(value)
            elif dot and head == "is" and column:
                values[column] = (*values.get(column, ()), value)
            elif dot and head in bounds and column:
                if value.strip():
                    bounds[head][column] = value.strip()
            elif key in _PLAIN:
                if value.strip():
                    name, read = _PLAIN[key]
                    found[name] = read(key, value.strip())
            else:
                raise InputError(f"unknown key {key[:100]!r}", where="query, address")
        return cls(
            **found, parts=_parts(rows), values=values, least=bounds["min"], most=bounds["max"]
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is searched for."""
        return not self.words and not any(part.weight for part in self.parts)

    @property
    def order(self) -> Order:
        """How results are ordered."""
        return Order(self.hybrid, self.diversity)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the pairs that `of` reads."""
        found = [("index", self.index)] if self.index else []
        found += [("q", self.words)] if self.words else []
        for part in self.parts:
            weight = f"{part.weight:.6g}"
            found += [("kind", part.kind), ("part", part.content), ("weight", weight)]
        found += [(f"is.{name}", one) for name, several in self.values.items() for one in several]
        found += [(f"min.{name}", one) for name, one in self.least.items()]
        found += [(f"max.{name}", one) for name, one in self.most.items()]
        found += [("filter", self.filter)] if self.filter else []
        found += [("hybrid", "1")] if self.hybrid else []
        found += [("diversity", f"{self.diversity:g}")] if self.diversity else []
        found += [("offset", str(self.offset))] if self.offset else []
        return found + ([("explain", str(self.explain))] if self.explain else [])

    def address(self, **changes: Any) -> str:
        """Return the address with some values changed; the first page unless `offset` is given."""
        changed = replace(self, **{"offset": 0, "explain": 0, **changes})
        return "/?" + urlencode(changed.pairs())

    def with_part(self, kind: PartKind, content: str, weight: float) -> str:
        """Return the address with one more part, in place of one of the same content."""
        kept = [one for one in self.parts if (one.kind, one.content) != (kind, content)]
        return self.address(parts=(*kept, PagePart(kind, content, weight)))

    def without_part(self, part: PagePart) -> str:
        """Return the address without a part."""
        return self.address(parts=tuple(one for one in self.parts if one is not part))


def _parts(rows: Mapping[str, list[str]]) -> tuple[PagePart, ...]:
    if len({len(several) for several in rows.values()}) > 1:
        raise InputError("expected as many kind, part and weight", where="query, address")
    found = []
    for kind, content, weight in zip(rows["kind"], rows["part"], rows["weight"], strict=True):
        if kind not in _KINDS:
            raise InputError(
                f"expected one of {', '.join(_KINDS)}, found {kind[:100]!r}", where="query, kind"
            )
        if content.strip():
            number = read_number("weight", weight, -MAX_WEIGHT, MAX_WEIGHT)
            found.append(PagePart(kind, content.strip(), number))  # type: ignore[arg-type]
    return tuple(found)


def read_number(key: str, text: str, least: float, most: float) -> float:
    """Return the number that a value of an address is.

    Raises:
        InputError: none, or one out of bounds.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise InputError(
            f"expected a number from {least:g} to {most:g}, found {text[:100]!r}",
            where=f"query, {key}",
        )
    return number


def read_whole(key: str, text: str) -> int:
    """Return the whole number of at most nine digits that a value of an address is.

    Raises:
        InputError: none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"expected a whole number, found {text[:100]!r}", where=f"query, {key}")
    return int(text)


_PLAIN: Mapping[str, tuple[str, Any]] = {
    "index": ("index", lambda _, text: text),
    "q": ("words", lambda _, text: text),
    "filter": ("filter", lambda _, text: text),
    "hybrid": ("hybrid", lambda _, text: text != "0"),
    "diversity": ("diversity", lambda key, text: read_number(key, text, 0, 1)),
    "offset": ("offset", read_whole),
    "explain": ("explain", read_whole),
}
