"""BiXSE: binary cross-entropy of every in-batch pair against its grade.

Tsirigotis et al., BiXSE: Improving Dense Retrieval via Probabilistic Graded Relevance
Distillation, COLM 2025, arXiv 2508.06781. Checked against the abstract alone: binary cross-entropy,
grades as probabilities, in-batch negatives. That scale and bias are learnt and that the sum is
divided by the queries follows SigLIP (Zhai et al., arXiv 2303.15343), not the paper's text.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch, unit_grades
from rankfield.losses import JudgedPairs
from rankfield.losses.softplus import softplus

__all__ = ["BiXSELoss", "bixse_loss"]


def bixse_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    logit_bias: Tensor | float,
    unjudged: float = 1.0,
) -> Tensor:
    """Return the binary cross-entropy against grades, a scalar in float32 or wider.

    With X = Z + b,

        loss = Σ_ij v_ij · (softplus(X_ij) − y_ij · X_ij) / m

    over all m · n pairs; v is 1 for judged pairs and `unjudged` for the others.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0.
        logit_bias: b.
        unjudged: weight of in-batch negatives; 1 as in the paper.

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    logits = batch.logits + logit_bias
    weights = torch.ones_like(logits).masked_fill(~batch.judged, unjudged)
    return (weights * (softplus(logits) - batch.grades * logits)).sum() / len(logits)


class BiXSELoss(GradedLoss):
    """BiXSE: binary cross-entropy of every in-batch pair against its grade.

    The module of `bixse_loss`. As the logit scale, the bias is the model's, or else a parameter of
    the loss: `logit_bias` is then where it begins.
    """

    takes_bias: ClassVar[bool] = True
    own_logit_bias: nn.Parameter | None

    def __init__(
        self,
        *,
        unjudged: float = 1.0,
        gain: Gain | None = None,
        fixed_scale: float | None = None,
        logit_scale: float | None = None,
        logit_bias: float | None = None,
    ) -> None:
        super().__init__(
            partial(bixse_loss, unjudged=unjudged),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
        own = None if logit_bias is None else nn.Parameter(torch.tensor(float(logit_bias)))
        self.register_parameter("own_logit_bias", own)

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
        logit_bias: Tensor | float | None = None,
    ) -> Tensor:
        """Return `bixse_loss`."""
        bias = self.own_logit_bias if logit_bias is None else logit_bias
        if bias is None:
            raise ValueError(
                "there is no logit bias: give the model's with the call, or make the loss with "
                "one that it learns, BiXSELoss(logit_bias=-10.0)"
            )
        return self.function(
            query_embeddings,
            document_embeddings,
            pairs,
            unit_grades(pairs.scores, self.gain),
            self.scale(logit_scale),
            logit_bias=bias,
        )
