"""CoSENT: the order of all judged pairs of the batch, of different queries too.

Huang et al., CoSENT: Consistent Sentence Embedding via Similarity Ranking, TASLP 2024;
`CoSENTLoss` of sentence-transformers 6.2.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from graded.graded_loss import GradedLoss
from graded.grades import Gain, GradedBatch, graded_batch
from rankfield.losses import JudgedPairs
from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.softplus import softplus

__all__ = ["CoSENTLoss", "cosent_loss", "order_loss"]


def cosent_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    unjudged: bool = False,
) -> Tensor:
    """Return CoSENT's loss, a scalar in float32 or wider.

        loss = log(1 + Σ_{y_ij > y_kl} exp(Z_kl − Z_ij))

    over judged pairs (i, j) and (k, l) of the whole batch; 0 if all grades are equal.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0; 20 in the source.
        unjudged: unjudged pairs take part, with the grade 0; they do not in the source.

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    return order_loss(batch, batch.logits, unjudged)


def order_loss(batch: GradedBatch, values: Tensor, unjudged: bool) -> Tensor:
    """Return log(1 + Σ exp(v_b − v_a)) over pairs a, b of the batch with y_a > y_b.

    Args:
        batch: its grades.
        values: float m × n.
        unjudged: whether unjudged pairs take part, with the grade 0.
    """
    chosen = torch.ones_like(batch.judged) if unjudged else batch.judged
    grades, order = batch.grades[chosen].sort()
    ascending = values[chosen][order]
    lower = torch.searchsorted(grades, grades)  # how many are of lower grade
    sums = ascending.logcumsumexp(0)[(lower - 1).clamp(min=0)]
    leads = torch.where(lower > 0, sums - ascending, NO_LOGIT)
    return softplus(leads.logsumexp(0))


class CoSENTLoss(GradedLoss):
    """CoSENT: judged pairs of the whole batch in the order of their grades.

    The module of `cosent_loss`; the scale is fixed, None takes the model's.
    """

    def __init__(
        self,
        *,
        unjudged: bool = False,
        gain: Gain | None = None,
        fixed_scale: float | None = 20.0,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(cosent_loss, unjudged=unjudged),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
