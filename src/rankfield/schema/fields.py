"""What a data set's fields and scores mean, and where it came from."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

from rankfield.errors import InputError

__all__ = ["Field", "Modality", "Provenance", "ScoreScale"]

Modality = Literal["text", "image"]


class _Numbers(Protocol):
    """An array of numpy or torch, an expression of polars: what has differences and `clip`."""

    def __sub__(self, other: float, /) -> Any: ...


_N = TypeVar("_N", bound=_Numbers)

_ROUNDING = 1e-9
_LARGEST_WHOLE = 1 << 53


@dataclass(frozen=True)
class Field:
    """A named part of a query or document.

    `weight` > 0 is its share in the fused embedding, renormalised over the fields present:
    e = normalise(Σ_f ω_f · normalise(enc_f(x_f))).
    """

    name: str
    modality: Modality
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.modality not in ("text", "image"):
            raise InputError(
                f"expected the modality 'text' or 'image', found {self.modality!r}",
                where=f"field {self.name!r}",
            )
        if not 0 < self.weight <= sys.float_info.max:
            raise InputError(
                f"expected a weight above 0, found {self.weight}", where=f"field {self.name!r}"
            )


def _storable(number: Any) -> Any:
    """Return a whole number that a table of integers cannot hold as a float, others as they are."""
    if type(number) is not int or abs(number) <= _LARGEST_WHOLE:
        return number
    try:
        return float(number)
    except OverflowError:
        found = f"expected finite numbers, found one of {number.bit_length():,} bits"
        raise InputError(found, where="score scale") from None


@dataclass(frozen=True)
class ScoreScale:
    """What the scores mean: any finite floats, larger is better.

    This is the one definition of what a score is worth, for metrics, baselines, losses and weights.

    minimum, maximum: bound the scores.
    relevant: a score ≥ `relevant` counts as relevant in binary metrics.
    meaning: in words.
    gain_floor: a score ≤ `gain_floor` is worth nothing; None: min(0, minimum). An import that
        finds negative scores, and is not told the minimum, states 0.
    """

    minimum: float
    maximum: float
    relevant: float
    meaning: str = ""
    gain_floor: float | None = None

    def __post_init__(self) -> None:
        for name in ("minimum", "maximum", "relevant", "gain_floor"):
            object.__setattr__(self, name, _storable(getattr(self, name)))
        if not self.minimum <= self.maximum:
            raise InputError(
                f"expected minimum ≤ maximum, found {self.minimum} and {self.maximum}",
                where="score scale",
            )
        numbers = (self.minimum, self.maximum, self.relevant, self.floor)
        if not all(math.isfinite(number) for number in numbers):
            raise InputError(f"expected finite numbers, found {numbers}", where="score scale")
        if self.gain_floor == min(0.0, self.minimum):  # scales of one meaning are equal
            object.__setattr__(self, "gain_floor", None)

    @property
    def floor(self) -> float:
        """The score that is worth nothing, like all below it: `gain_floor` or min(0, minimum)."""
        return min(0.0, self.minimum) if self.gain_floor is None else self.gain_floor

    @property
    def span(self) -> float:
        """The gain of the best score: maximum − floor, at least 0."""
        return max(self.maximum - self.floor, 0.0)

    @property
    def judges_wrong(self) -> bool:
        """Whether scores reach below the floor: those up to it say that a document is wrong."""
        return self.minimum < self.floor

    @property
    def limits(self) -> tuple[float, float]:
        """The least and largest score that the scale admits: its ends, but for rounding."""
        slack = _ROUNDING * max(1.0, abs(self.minimum), abs(self.maximum))
        return self.minimum - slack, self.maximum + slack

    def linear_gain(self, scores: _N) -> _N:
        """Return max(score − floor, 0), elementwise, of an array of numpy or torch."""
        gains: _N = (scores - self.floor).clip(min=0.0)
        return gains

    def place(self, scores: _N) -> _N:
        """Return how high scores lie on the scale, 0 … 1: (score − low) / (maximum − low).

        low = max(minimum, floor): what is worth nothing lies at 0, as the lowest score does.
        """
        low = max(self.minimum, self.floor)
        places: _N = ((scores - low) / ((self.maximum - low) or 1.0)).clip(0.0, 1.0)
        return places

    def __str__(self) -> str:
        """Return the scale as messages and pages say it."""
        nothing = "" if self.gain_floor is None else f", scores up to {self.floor:g} gain nothing"
        return f"{self.minimum:g} to {self.maximum:g}{nothing}, relevant from {self.relevant:g}"


@dataclass(frozen=True)
class Provenance:
    """Where a data set came from and how it was made."""

    source: str = ""
    licence: str = ""
    made_by: str = ""
    seed: int | None = None
    notes: tuple[str, ...] = ()

    def with_notes(self, notes: Sequence[str], *, replacing: str = "") -> Provenance:
        """Return the provenance with further notes; earlier ones that begin with `replacing` go."""
        kept = [n for n in self.notes if not (replacing and n.startswith(replacing))]
        return replace(self, notes=(*kept, *notes))
