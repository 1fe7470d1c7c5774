"""FlagEmbedding's `kl_div`: cross-entropy against a teacher's softmax, beside InfoNCE.

FlagOpen/FlagEmbedding, FlagEmbedding/abc/finetune/embedder/AbsModeling.py, `distill_loss` and
`_compute_in_batch_neg_loss`, where teacher scores are a reranker's. Here they are grades times a
`sharpness`; the source's positive is the one passage that was drawn, here the documents of the
query's best grade share its place.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch, mean_of_queries
from rankfield.losses import JudgedPairs
from rankfield.losses.judged_lists import NO_LOGIT

__all__ = ["FlagKLLoss", "flag_kl_loss"]


def flag_kl_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    sharpness: float = 10.0,
    contrastive: float = 1.0,
) -> Tensor:
    """Return FlagEmbedding's `kl_div` loss, a scalar in float32 or wider.

    With the judged documents J(i) of query i, p = softmax(sharpness · y) and q = softmax(Z), both
    over J(i), and the documents B(i) of its best grade,

        loss = mean_i −Σ_{j ∈ J(i)} p_ij · log q_ij
               + contrastive · mean_i mean_{j ∈ B(i)} (log Σ_k exp Z_ik − Z_ij)

    The first mean is over the queries with a judgment, the second over those with a grade above 0;
    k runs over all n documents.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0; the source's temperature is its inverse, 0.02 in its examples.
        sharpness: the teacher score of grade 1, ≥ 0.
        contrastive: weight of InfoNCE; 1 in the source, 0 leaves distillation alone.

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    known = batch.judged.any(1)
    teacher = (sharpness * batch.grades).masked_fill(~batch.judged, NO_LOGIT).softmax(1)
    student = F.log_softmax(batch.logits.masked_fill(~batch.judged, NO_LOGIT), dim=1)
    distilled = -torch.where(batch.judged, teacher * student, 0.0).sum(1)
    loss = mean_of_queries(distilled, known)
    best = batch.grades.amax(1, keepdim=True)
    positive = (batch.grades == best) & (best > 0)
    own = torch.where(positive, batch.logits, 0.0).sum(1) / positive.sum(1).clamp(min=1)
    info_nce = batch.logits.logsumexp(1) - own
    return loss + contrastive * mean_of_queries(info_nce, positive.any(1))


class FlagKLLoss(GradedLoss):
    """FlagEmbedding's kl_div: cross-entropy against the softmax of the grades, beside InfoNCE.

    The module of `flag_kl_loss`.
    """

    def __init__(
        self,
        *,
        sharpness: float = 10.0,
        contrastive: float = 1.0,
        gain: Gain | None = None,
        fixed_scale: float | None = None,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(flag_kl_loss, sharpness=sharpness, contrastive=contrastive),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
