"""AnglE: the order of all judged pairs by an angle in complex space.

Li and Li, AnglE-optimized Text Embeddings, ACL 2024, arXiv 2309.12871; `AnglELoss` and
`pairwise_angle_sim` of sentence-transformers 6.2: CoSENT's loss of |cosine + sine|. The paper adds
CoSENT's own term and an in-batch one; of these the first can be had here.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from graded.cosent import order_loss
from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch
from rankfield.losses import JudgedPairs

__all__ = ["AnglELoss", "angle_loss"]


def angle_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    cosine: float = 0.0,
    unjudged: bool = False,
) -> Tensor:
    """Return AnglE's loss, a scalar in float32 or wider.

    With embeddings as complex vectors whose real parts are the first half of the dimensions (an odd
    number gets a 0 more) and whose imaginary parts are the second,

        A_ij = |Re Σ_d q_d · conj(d_d) + Im Σ_d q_d · conj(d_d)|
        loss = log(1 + Σ_{y_ij > y_kl} exp(s · (A_kl − A_ij))) + cosine · CoSENT

    over judged pairs of the whole batch. The real part is the cosine.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0; 20 in sentence-transformers.
        cosine: weight of `cosent_loss`; 0 in sentence-transformers, 1 in the paper.
        unjudged: unjudged pairs take part, with the grade 0; they do not in the source.

    Raises:
        ValueError: as `graded_batch`.
    """
    real, imaginary = F.pad(query_embeddings, (0, query_embeddings.shape[-1] % 2)).chunk(2, dim=-1)
    turned = torch.cat((imaginary, -real), dim=-1)[..., : query_embeddings.shape[-1]]
    of_sines = graded_batch(turned, document_embeddings, pairs, grades, logit_scale)
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    loss = order_loss(batch, (batch.logits + of_sines.logits).abs(), unjudged)
    if cosine:
        loss = loss + cosine * order_loss(batch, batch.logits, unjudged)
    return loss


class AnglELoss(GradedLoss):
    """AnglE: judged pairs of the whole batch in the order of their grades, by a complex angle.

    The module of `angle_loss`; the scale is fixed, None takes the model's.
    """

    def __init__(
        self,
        *,
        cosine: float = 0.0,
        unjudged: bool = False,
        gain: Gain | None = None,
        fixed_scale: float | None = 20.0,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(angle_loss, cosine=cosine, unjudged=unjudged),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
