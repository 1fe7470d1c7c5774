"""Documents that are spread over the sphere, beside the default loss."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from rankfield.losses import JudgedContrastiveLoss, JudgedPairs
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.reduction import Direction, Reduction

__all__ = ["Form", "SpreadOutLoss", "spread"]

Form = Literal["orthogonal", "uniformity"]
"""With the cosines c of the pairs of different documents of the batch, in D dimensions:

orthogonal  (mean c)² + max(0, mean c² − 1 / D): the first two moments of independent uniform
            vectors (global orthogonal regularisation, Zhang et al., arXiv 1708.06320, Equation 6)
uniformity  log mean exp(−t · ‖x − y‖²) = log mean exp(−2t · (1 − c)), t = 2 (Wang and Isola,
            arXiv 2005.10242, Section 4.1.2)
"""

_SHARPNESS = 2.0


class SpreadOutLoss(JudgedContrastiveLoss):
    """The default loss + `weight` · `spread` of the batch's documents; weight 0 is the default.

    weight: ≥ 0.
    form: see `Form`. Both look at all pairs of documents, those judged for one query too.

    Raises:
        ValueError: an unknown form, or a negative weight.
    """

    def __init__(
        self,
        *,
        weight: float = 0.1,
        form: Form = "orthogonal",
        target: Target = "ranked",
        direction: Direction = "both",
        reduction: Reduction = "mean",
        margin: float = 0.0,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            target=target,
            direction=direction,
            reduction=reduction,
            margin=margin,
            logit_scale=logit_scale,
        )
        if form not in get_args(Form) or not 0.0 <= weight < math.inf:
            raise ValueError(f"expected a form of {get_args(Form)} and a weight of at least 0")
        self.weight, self.form = weight, form

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return the loss, a scalar."""
        loss = super().forward(query_embeddings, document_embeddings, pairs, logit_scale)
        if not self.weight:
            return loss
        return loss + self.weight * spread(document_embeddings, self.form)


def spread(embeddings: Tensor, form: Form) -> Tensor:
    """Return how far unit vectors are from spread out, a scalar in float32 or wider; see `Form`.

    "orthogonal" is at least 0, "uniformity" from −8 to 0. Of a single vector it is 0.

    Args:
        embeddings: n × D unit vectors.
        form: see `Form`.
    """
    count, dimension = embeddings.shape
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    with torch.autocast(embeddings.device.type, enabled=False):
        vectors = embeddings.to(dtype)
        if count < 2:
            return 0.0 * vectors.sum()
        upper = torch.ones(count, count, dtype=torch.bool, device=vectors.device).triu(1)
        cosines = (vectors @ vectors.T)[upper]
        if form == "orthogonal":
            excess = torch.relu(cosines.square().mean() - 1.0 / dimension)
            return cosines.mean().square() + excess
        exponents = -2.0 * _SHARPNESS * (1.0 - cosines)
        return exponents.logsumexp(0) - math.log(len(cosines))
