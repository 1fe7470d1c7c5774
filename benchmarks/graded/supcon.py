"""Supervised contrastive loss by grade.

Khosla et al., Supervised Contrastive Learning, arXiv 2004.11362, equation 2 (the mean over
positives outside of the logarithm). Xi et al., Mine and Refine, arXiv 2602.17654, train their first
stage with a label-aware form of it; its equation could not be read. Here, as summaries have it, a
partly relevant document is a positive against worse ones and no negative of its own level.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch
from graded.levels import level_shares
from rankfield.losses import JudgedPairs
from rankfield.losses.judged_lists import NO_LOGIT

__all__ = ["GradedSupConLoss", "graded_supcon_loss"]


def graded_supcon_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    power: float = 0.0,
) -> Tensor:
    """Return the supervised contrastive loss of each level, a scalar in float32 or wider.

    For each query i and each grade g > 0 that it has given, with the documents P(g) of that grade
    and A(g) of that grade or a lower one, unjudged ones included,

        ℓ_ig = mean_{j ∈ P(g)} (log Σ_{k ∈ A(g)} exp Z_ik − Z_ij)

    and the loss is the mean over queries of the mean over g, weighted by g^power, of ℓ_ig. With a
    single grade above 0 it is SupCon.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0, the inverse temperature.
        power: 0: levels count alike; 1: by their grade.

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    higher = batch.grades[pairs.queries] > batch.of_pairs[:, None]
    others = batch.logits[pairs.queries].masked_fill(higher, NO_LOGIT).logsumexp(1)
    own = batch.logits[pairs.queries, pairs.documents]
    shares = level_shares(batch, pairs, batch.of_pairs > 0, power)
    return (shares * (others - own)).sum()


class GradedSupConLoss(GradedLoss):
    """Supervised contrastive by grade: documents of one grade against those of lower ones.

    The module of `graded_supcon_loss`.
    """

    def __init__(
        self,
        *,
        power: float = 0.0,
        gain: Gain | None = None,
        fixed_scale: float | None = None,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(graded_supcon_loss, power=power),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
