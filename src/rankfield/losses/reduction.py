"""Who competes, and how the losses of single pairs become one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from rankfield.losses.judged_pairs import JudgedPairs

__all__ = [
    "Direction",
    "ListReduction",
    "Reduction",
    "check_choice",
    "check_reduction",
    "divisor",
    "in_directions",
    "of_lists",
    "weighted",
]

Direction = Literal["query_to_document", "document_to_query", "both"]
"""Documents compete for a query, queries compete for a document, or half of each."""

Reduction = Literal["mean", "batchmean", "sum", "none"]
"""With the loss ℓ_e and the weight w_e of each of P pairs:

mean        Σ w_e · ℓ_e / Σ w_e, as `torch.nn.functional.cross_entropy` has it with weights
batchmean   Σ w_e · ℓ_e / P
sum         Σ w_e · ℓ_e
none        w_e · ℓ_e, P values
"""

ListReduction = Literal["mean", "sum", "none"]
"""The mean or the sum of the lists' losses, or each of them."""


def check_choice(what: str, found: str, known: Any) -> None:
    """Raise a ValueError unless `found` is one of the words of the literal type `known`."""
    words = get_args(known)
    if found not in words:
        expected = f"{', '.join(words[:-1])} or {words[-1]}"
        raise ValueError(f"expected the {what} {expected}, found {found!r}")


def check_reduction(direction: str, reduction: str) -> None:
    """Raise a ValueError unless both are known."""
    check_choice("direction", direction, Direction)
    check_choice("reduction", reduction, Reduction)


def in_directions(
    logits: Tensor, pairs: JudgedPairs, direction: Direction
) -> Iterator[tuple[Tensor, JudgedPairs]]:
    """Yield m × n logits and pairs for each direction, exchanged for "document_to_query"."""
    if direction != "document_to_query":
        yield logits, pairs
    if direction != "query_to_document":
        yield logits.T, pairs.transposed()


def weighted(
    losses: Iterable[Tensor], weights: Tensor, direction: Direction, reduction: Reduction
) -> Tensor:
    """Return the reduced loss, or for "none" one value for each pair.

    Args:
        losses: P losses of the pairs for each direction, or their sum as one. Each is summed
            before the next is asked for: autograd adds gradients in the order of the operations.
        weights: P weights ≥ 0.
        direction: "both" halves the sum.
        reduction: see `Reduction`.
    """
    if reduction == "none":
        of_pairs = torch.stack(tuple(losses)).sum(0)
        return weights * of_pairs / divisor(weights, direction, reduction)
    total = weights.new_zeros(())
    for of_pairs in losses:
        total = total + weights @ of_pairs
    return total / divisor(weights, direction, reduction)


def divisor(weights: Tensor, direction: Direction, reduction: Reduction) -> Tensor | float:
    """Return what the weighted sum of P pairs is divided by, 2 for "both" included.

    If all weights are 0, "mean" takes 1 in place of Σ w: the sum is 0, and so is the loss.
    """
    directions = 2.0 if direction == "both" else 1.0
    if reduction == "mean":
        total = weights.sum()
        return directions * torch.where(total > 0, total, 1.0)
    return directions * (float(len(weights)) if reduction == "batchmean" else 1.0)


def of_lists(losses: Tensor, reduction: ListReduction) -> Tensor:
    """Return the mean or the sum of R losses, or for "none" themselves."""
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
