"""Trove's graded KL: the softmax of the grades against that of the logits, over the whole batch.

BatsResearch/trove (ir-trove 0.0.2), src/trove/modeling/losses.py, `KLDivergenceLoss`: labels of a
query's own list, 0 for the in-batch documents, softmax of both, batchmean. There labels are whole
grades such as 0 to 3; here they are grades from 0 to 1 times a `sharpness`.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.nn import functional as F

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch, mean_of_queries
from rankfield.losses import JudgedPairs

__all__ = ["TroveKLLoss", "trove_kl_loss"]


def trove_kl_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    sharpness: float = 3.0,
) -> Tensor:
    """Return Trove's KL divergence, a scalar in float32 or wider.

    With p = softmax(sharpness · y) and q = softmax(Z), both over all n documents,

        loss = mean_i Σ_j p_ij · (log p_ij − log q_ij)

    over the queries with a judgment. Each unjudged document has a share of p, too.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0, the inverse of the source's temperature.
        sharpness: the label of grade 1, ≥ 0.

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    target = F.log_softmax(sharpness * batch.grades, dim=1)
    difference = target - F.log_softmax(batch.logits, dim=1)
    return mean_of_queries((target.exp() * difference).sum(1), batch.judged.any(1))


class TroveKLLoss(GradedLoss):
    """Trove's graded KL: the softmax of the grades against that of the logits, over the batch.

    The module of `trove_kl_loss`.
    """

    def __init__(
        self,
        *,
        sharpness: float = 3.0,
        gain: Gain | None = None,
        fixed_scale: float | None = None,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(trove_kl_loss, sharpness=sharpness),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
