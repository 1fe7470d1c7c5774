"""How the loop goes: rounds, visitors and what they do, training."""

from __future__ import annotations

from dataclasses import dataclass

from rankfield.errors import InputError

__all__ = ["LoopOptions"]

_LEAST = {"rounds": 1, "visitors": 1, "queries": 1, "lists": 1, "steps": 1, "seed": 0}


@dataclass(frozen=True)
class LoopOptions:
    """The settings of a loop; the same ones give the same rounds.

    rounds: how often it goes round.
    visitors: of each round, one query each.
    queries: how many of the shop's queries they ask: the fewer, the more clicks for each.
    lists: interleaved lists that confirm a swap.
    steps, learning_rate, batch: of each round's training.
    bias: η of the visitors: the place k of a page is examined with probability k^−η.
    noise: how likely an examined document without any relevance is clicked, from 0 to 1; at 1
        clicks say nothing of relevance.
    exploration: how far the shop's page departs from the order of the service, so that documents
        are seen at several places (`visitors.Visitors.page`); 0: not at all.
    seed: of the visitors and the training.

    Raises:
        InputError: a value out of range.
    """

    rounds: int = 3
    visitors: int = 8000
    queries: int = 300
    lists: int = 400
    steps: int = 60
    learning_rate: float = 1e-3
    batch: int = 128
    bias: float = 1.0
    noise: float = 0.05
    exploration: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise InputError(
                    f"expected at least {least}, found {getattr(self, name)}", where=name
                )
        for name in ("bias", "exploration"):
            if not 0 <= getattr(self, name) <= 10:
                raise InputError(
                    f"expected a number from 0 to 10, found {getattr(self, name)}", where=name
                )
        if not 0 <= self.noise <= 1:
            raise InputError(f"expected a number from 0 to 1, found {self.noise}", where="noise")
