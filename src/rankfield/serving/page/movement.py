"""How far documents move between ranked lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Movement", "movements", "overlap"]


@dataclass(frozen=True)
class Movement:
    """Where a document of one list is in the others.

    rank: here, from 1.
    ranks: in each list; None where the list does not have it.
    in_all: whether it is among the first k of every list.
    only_here: whether it is among the first k of no other one.
    """

    rank: int
    ranks: tuple[int | None, ...]
    in_all: bool
    only_here: bool

    @property
    def moved(self) -> int | None:
        """How many places it is higher than in the first list; None where that has it not."""
        before = self.ranks[0]
        return None if before is None else before - self.rank


def movements(lists: Sequence[Sequence[str]], k: int) -> list[dict[str, Movement]]:
    """Return, for each list, document → where else the first k of it are.

    Args:
        lists: ids, best first; as deep as ranks shall be known.
        k: how many count as found.
    """
    ranks = [_ranks(one) for one in lists]
    return [
        {doc: _movement(doc, rank, ranks, k) for doc, rank in _ranks(one[:k]).items()}
        for one in lists
    ]


def overlap(first: Sequence[str], second: Sequence[str], k: int) -> float | None:
    """Return |first k of both| / k, with the longer list's length where both are shorter than k.

    None where both are empty.
    """
    size = min(k, max(len(first), len(second)))
    return len({*first[:k]} & {*second[:k]}) / size if size else None


def _ranks(one: Sequence[str]) -> dict[str, int]:
    return {doc: rank for rank, doc in enumerate(one, 1)}


def _movement(doc: str, rank: int, ranks: Sequence[Mapping[str, int]], k: int) -> Movement:
    found = tuple(one.get(doc) for one in ranks)
    among = sum(1 for one in found if one is not None and one <= k)
    return Movement(rank, found, among == len(ranks), among == 1)
