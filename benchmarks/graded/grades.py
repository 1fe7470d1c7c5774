"""Grades from 0 to 1, and a batch's logits beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rankfield.losses import JudgedPairs
from rankfield.losses.judged_pairs import check_batch

__all__ = ["Gain", "GradedBatch", "graded_batch", "mean_of_queries", "unit_grades"]

Gain = Callable[[Tensor], Tensor]
"""Scores → gains, float of the same shape."""


def unit_grades(scores: Tensor, gain: Gain | None) -> Tensor:
    """Return grades from 0 to 1, of the scores' shape.

    Training's `gain` is that of the reported nDCG divided by the largest of the data set's scale,
    max(score − floor, 0) / (maximum − floor): a grade depends on the scale, not on the batch. What
    rounding puts outside 0 to 1 is cut.

    Args:
        scores: float, any shape.
        gain: scores → gains; None: the scores are grades.

    Raises:
        ValueError: without a gain, a score outside 0 to 1.
    """
    if gain is not None:
        return gain(scores).clamp(0.0, 1.0)
    if not bool(((scores >= 0) & (scores <= 1)).all()):
        raise ValueError("expected scores from 0 to 1, or a gain that maps them there")
    return scores


@dataclass(frozen=True)
class GradedBatch:
    """A batch as matrices of its queries and documents.

    logits: float32 or wider m × n, Z.
    grades: of the same dtype m × n, y; 0 where unjudged.
    judged: bool m × n.
    of_pairs: of the same dtype P, the grade of each judged pair.
    """

    logits: Tensor
    grades: Tensor
    judged: Tensor
    of_pairs: Tensor


def graded_batch(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
) -> GradedBatch:
    """Return logits, computed in float32 or wider, and grades.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch, each once.
        grades: float P, 0 to 1.
        logit_scale: s > 0.

    Raises:
        ValueError: shapes that do not fit, no pair, a grade outside 0 to 1.
    """
    check_batch(query_embeddings, document_embeddings, pairs)
    if grades.shape != pairs.queries.shape:
        raise ValueError(f"expected {len(pairs)} grades, found shape {tuple(grades.shape)}")
    if not bool(((grades >= 0) & (grades <= 1)).all()):
        raise ValueError("expected grades from 0 to 1")
    dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
    with torch.autocast(query_embeddings.device.type, enabled=False):
        products = query_embeddings.to(dtype) @ document_embeddings.to(dtype).T
        logits = logit_scale * products
    place = pairs.queries, pairs.documents
    of_pairs = grades.to(dtype)
    matrix = torch.zeros_like(products).detach().index_put(place, of_pairs)
    judged = torch.zeros_like(products, dtype=torch.bool)
    judged[place] = True
    return GradedBatch(logits, matrix, judged, of_pairs)


def mean_of_queries(losses: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of m losses over the queries where bool m `counted` holds; 0 without one."""
    number = counted.sum().clamp(min=1)
    return torch.where(counted, losses, 0.0).sum() / number
