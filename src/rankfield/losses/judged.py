"""The judged pairs of a batch: which query knows what about which document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

__all__ = [
    "Direction",
    "JudgedLists",
    "JudgedPairs",
    "Normaliser",
    "check_batch",
    "check_sums",
    "judged_lists",
    "total_weight",
]

Direction = Literal["rows", "columns", "both"]
Normaliser = Literal["weights", "count"]


@dataclass(frozen=True)
class JudgedPairs:
    """P judged pairs among the m queries and n documents of a batch, each pair once.

    queries, documents: int64 P, indices into the batch's queries and documents.
    scores: float P, any finite scale; a pair that is not listed is unjudged.
    weights: float P, ≥ 0: how much each pair counts in the loss.
    """

    queries: Tensor
    documents: Tensor
    scores: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.queries)

    def to(self, device: torch.device) -> JudgedPairs:
        """Return the same on another device."""
        return JudgedPairs(
            *(x.to(device) for x in (self.queries, self.documents, self.scores, self.weights))
        )

    def transposed(self) -> JudgedPairs:
        """Return the same pairs with the documents as rows."""
        return JudgedPairs(self.documents, self.queries, self.scores, self.weights)

    def among_documents(self, kept: Tensor) -> JudgedPairs:
        """Return the pairs of the documents where bool n `kept` holds, renumbered without gaps."""
        place = kept.cumsum(0) - 1
        pair = kept[self.documents]
        return JudgedPairs(
            self.queries[pair],
            place[self.documents[pair]],
            self.scores[pair],
            self.weights[pair],
        )

    def check(self, rows: int, columns: int) -> None:
        """Raise a ValueError unless the pairs fit a batch of m = `rows` and n = `columns`."""
        shapes = {tuple(x.shape) for x in vars(self).values()}
        if len(shapes) != 1 or self.queries.ndim != 1:
            raise ValueError(f"expected four tensors of one length, found shapes {sorted(shapes)}")
        if len(self) == 0:
            raise ValueError("expected at least one judged pair, found none")
        for name, index, size in (
            ("query", self.queries, rows),
            ("document", self.documents, columns),
        ):
            if int(index.min()) < 0 or int(index.max()) >= size:
                raise ValueError(f"a {name} index lies outside 0 … {size - 1}")


def check_batch(left: Tensor, right: Tensor, pairs: JudgedPairs) -> None:
    """Raise a ValueError unless `left` is m × D, `right` n × D and the pairs fit them."""
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise ValueError(
            f"expected m × D and n × D, found {tuple(left.shape)} and {tuple(right.shape)}"
        )
    pairs.check(len(left), len(right))


def check_sums(direction: str, normaliser: str) -> None:
    """Raise a ValueError unless direction and normaliser are known."""
    if direction not in get_args(Direction):
        raise ValueError(f"expected the direction rows, columns or both, found {direction!r}")
    if normaliser not in get_args(Normaliser):
        raise ValueError(f"expected the normaliser weights or count, found {normaliser!r}")


@dataclass(frozen=True)
class JudgedLists:
    """The judged pairs as one list for each row, of rising score, padded to the longest.

    pairs: int64 R × K, the pair at each place; 0 where `real` is false. Pairs of equal score keep
        their order. Rows without a judged pair have no list.
    real: bool R × K.
    rows: int64 R, the row of the batch that each list belongs to.
    first_equal: int64 R × K, the place of the first pair of equal score in the same list; of no
        meaning where `real` is false.
    """

    pairs: Tensor
    real: Tensor
    rows: Tensor
    first_equal: Tensor


def judged_lists(pairs: JudgedPairs) -> JudgedLists:
    """Return each row's judged pairs in the order of rising score."""
    by_score = torch.argsort(pairs.scores, stable=True)
    order = by_score[torch.argsort(pairs.queries[by_score], stable=True)]
    rows, lengths = torch.unique_consecutive(pairs.queries[order], return_counts=True)
    starts = lengths.cumsum(0) - lengths
    places = torch.arange(int(lengths.max()), device=order.device)
    real = places < lengths[:, None]
    padded = order[torch.where(real, starts[:, None] + places, 0)]
    padded = torch.where(real, padded, 0)
    scores = pairs.scores[padded]
    new = torch.ones_like(real)
    new[:, 1:] = scores[:, 1:] != scores[:, :-1]
    first_equal = torch.where(new, places, 0).cummax(dim=1).values
    return JudgedLists(padded, real, rows, first_equal)


def total_weight(weights: Tensor, normaliser: Normaliser) -> Tensor | float:
    """Return what the weighted sum over pairs is divided by: Σ w, or the number of pairs.

    Weights of 0 alone give 1 in place of Σ w: their weighted sum is 0, and so is the loss.
    """
    if normaliser == "count":
        return float(len(weights))
    total = weights.sum()
    return torch.where(total > 0, total, 1.0)
