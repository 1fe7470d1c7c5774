"""What a data set's fields and scores mean, and where it came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rankfield.errors import InputError

__all__ = ["Field", "Modality", "Provenance", "ScoreScale"]

Modality = Literal["text", "image"]


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
        if not 0 < self.weight < float("inf"):
            raise InputError(
                f"expected a weight above 0, found {self.weight}", where=f"field {self.name!r}"
            )


@dataclass(frozen=True)
class ScoreScale:
    """What the scores mean: any finite floats, larger is better.

    `minimum` and `maximum` bound them; a score ≥ `relevant` counts as relevant in binary metrics.
    """

    minimum: float
    maximum: float
    relevant: float
    meaning: str = ""

    def __post_init__(self) -> None:
        if not self.minimum <= self.maximum:
            raise InputError(
                f"expected minimum ≤ maximum, found {self.minimum} and {self.maximum}",
                where="score scale",
            )
        numbers = (self.minimum, self.maximum, self.relevant)
        if not all(math.isfinite(number) for number in numbers):
            raise InputError(f"expected finite numbers, found {numbers}", where="score scale")


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
