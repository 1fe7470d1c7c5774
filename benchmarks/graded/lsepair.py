"""LSEPair: the log-sum-exp of all pairs of different grade of a query.

Wang et al., Training Dense Retrievers with Multiple Positive Passages, KDD 2026, arXiv 2602.12727;
WangLanHuaJiaoFen/Multi-Positive-Passages, src/tevatron/modeling/encoder.py, loss type `lsep`, where
positives and negatives are two grades. Of more grades each pair of different grade takes part.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch, mean_of_queries
from rankfield.losses import JudgedPairs
from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.softplus import softplus

__all__ = ["LSEPairLoss", "lsepair_loss"]


def lsepair_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    divided: bool = False,
) -> Tensor:
    """Return the log-sum-exp pairwise loss, a scalar in float32 or wider.

        loss = mean_i log(1 + Σ_{j,k: y_ij > y_ik} exp(Z_ik − Z_ij))

    over the queries with a grade above 0; unjudged documents have the grade 0.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0, the inverse temperature.
        divided: divide each query's loss by its number of documents of grades above 0 (the source's
            `normalize_loss_by_positive`).

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    lower = batch.grades[pairs.queries] < batch.of_pairs[:, None]
    below = batch.logits[pairs.queries].masked_fill(~lower, NO_LOGIT).logsumexp(1)
    place = pairs.queries, pairs.documents
    leads = torch.full_like(batch.logits, NO_LOGIT).index_put(place, below - batch.logits[place])
    positives = (batch.grades > 0).sum(1)
    losses = softplus(leads.logsumexp(1))
    if divided:
        losses = losses / positives.clamp(min=1)
    return mean_of_queries(losses, positives > 0)


class LSEPairLoss(GradedLoss):
    """LSEPair: the log-sum-exp of all pairs of different grade of a query.

    The module of `lsepair_loss`.
    """

    def __init__(
        self,
        *,
        divided: bool = False,
        gain: Gain | None = None,
        fixed_scale: float | None = None,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(lsepair_loss, divided=divided),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
