"""How hard negatives are chosen: declared once for `mine`, the recipe and `rankfield mine`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from rankfield.errors import InputError

__all__ = ["MineSettings", "Sample"]

Sample = Literal["top", "random"]


def _about(description: str, **limits: float) -> dict[str, Any]:
    return {"description": description, **limits}


@dataclass(frozen=True)
class MineSettings:
    """How to choose negatives: defaults, descriptions and limits.

    Judged documents have no rank. A `margin` of None is not asked for, and neither is a
    `relative_margin` of None; a negative one lets candidates through that are so much above the
    best relevant document. With `near_duplicate` above 1 only documents of equal content are
    dropped. The random sample of a query is the same whatever the other queries are.

    Raises:
        InputError: a value out of its range.
    """

    per_query: int = field(
        default=10, metadata=_about("how many negatives to keep of a query", ge=1)
    )
    first: int = field(
        default=1, metadata=_about("first rank to mine from; judged documents have no rank", ge=1)
    )
    last: int = field(default=100, metadata=_about("last rank to mine from", ge=1))
    margin: float | None = field(
        default=None,
        metadata=_about("how far negatives stay below the best relevant document's cosine"),
    )
    relative_margin: float | None = field(
        default=0.05, metadata=_about("the same as a share of that cosine", le=1)
    )
    near_duplicate: float = field(
        default=0.98, metadata=_about("drop what is so close to a judged document", gt=0)
    )
    sample: Sample = field(
        default="top", metadata=_about("of what is left, keep the top ones or random ones")
    )
    seed: int = field(default=0, metadata=_about("of a random sample", ge=0))
    memory_mib: int = field(
        default=256, metadata=_about("MiB to use beside the embeddings and the result", ge=1)
    )

    def __post_init__(self) -> None:
        for declared in fields(self):
            least = declared.metadata.get("ge")
            if least is not None and getattr(self, declared.name) < least:
                raise _refused(declared.name, f"at least {least}", getattr(self, declared.name))
        if self.last < self.first:
            raise _refused("last", f"at least first ({self.first})", self.last)
        if self.margin is not None and not math.isfinite(self.margin):
            raise _refused("margin", "a finite number", self.margin)
        if self.relative_margin is not None and not -math.inf < self.relative_margin <= 1:
            raise _refused("relative_margin", "a share of at most 1", self.relative_margin)
        if not 0 < self.near_duplicate < math.inf:
            raise _refused("near_duplicate", "a cosine above 0", self.near_duplicate)
        if self.sample not in ("top", "random"):
            raise _refused("sample", "'top' or 'random'", self.sample)


def _refused(name: str, expected: str, found: object) -> InputError:
    return InputError(f"expected {expected}, found {found!r}", where=f"mining, {name}")
