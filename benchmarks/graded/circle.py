"""Circle loss at each boundary between grades.

Sun et al., Circle Loss, arXiv 2002.10857, equations 4 to 8. Xi et al., Mine and Refine, arXiv
2602.17654, extend it to several classes in their second stage; their equation could not be read.
The extension here is ours: one circle loss for each boundary between two neighbouring grades of a
query, its margins around the grades' middle ("centred") or all as in the binary loss ("shared").
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch
from graded.levels import level_shares
from rankfield.losses import JudgedPairs
from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.reduction import check_choice
from rankfield.losses.softplus import softplus

__all__ = ["Boundaries", "MultiClassCircleLoss", "multi_class_circle_loss"]

Boundaries = Literal["centred", "shared"]
"""Where a boundary lies: at the middle of its two grades as a cosine, or at 0.5."""


def multi_class_circle_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    margin: float = 0.25,
    boundaries: Boundaries = "centred",
) -> Tensor:
    """Return the circle losses of the boundaries between grades, a scalar in float32 or wider.

    For query i and each grade g > 0 that it has given, with the next lower grade h of its documents
    (unjudged ones included), c = (g + h) / 2 ("centred") or 1/2 ("shared"), cosines x, scale γ and
    margin μ,

        ℓ_ig = log(1 + Σ_{y_ik < g} exp(γ·α_k·(x_ik − Δ⁻)) · Σ_{y_ij ≥ g} exp(−γ·β_j·(x_ij − Δ⁺)))
        α_k = max(x_ik − c + 1/2 + μ, 0)        Δ⁻ = c − 1/2 + μ
        β_j = max(c + 1/2 + μ − x_ij, 0)        Δ⁺ = c + 1/2 − μ

    and the loss is the mean over queries of the mean over g of ℓ_ig. No gradient flows through α
    and β. With one grade above 0 and c = 1/2 it is the circle loss.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: γ > 0.
        margin: μ; in the paper 0.25 for γ = 256, 0.4 for γ = 80.
        boundaries: where they lie.

    Raises:
        ValueError: as `graded_batch`, or unknown boundaries.
    """
    check_choice("boundaries", boundaries, Boundaries)
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, 1.0)
    cosines, known = batch.logits[pairs.queries], batch.grades[pairs.queries]
    grade = batch.of_pairs[:, None]
    worse = known < grade
    middle = torch.full_like(grade, 0.5)
    if boundaries == "centred":
        middle = (grade + torch.where(worse, known, 0.0).amax(1, keepdim=True)) / 2
    alpha = (cosines - middle + 0.5 + margin).clamp(min=0).detach()
    beta = (middle + 0.5 + margin - cosines).clamp(min=0).detach()
    low = logit_scale * alpha * (cosines - middle + 0.5 - margin)
    high = logit_scale * beta * (middle + 0.5 - margin - cosines)
    sums = low.masked_fill(~worse, NO_LOGIT).logsumexp(1)
    sums = sums + high.masked_fill(worse, NO_LOGIT).logsumexp(1)
    counted = (batch.of_pairs > 0) & worse.any(1)
    return (level_shares(batch, pairs, counted) * softplus(sums)).sum()


class MultiClassCircleLoss(GradedLoss):
    """Circle loss at each boundary between grades: what is above it against what is below.

    The module of `multi_class_circle_loss`; `fixed_scale` is γ, None takes the model's scale.
    """

    def __init__(
        self,
        *,
        margin: float = 0.25,
        boundaries: Boundaries = "centred",
        gain: Gain | None = None,
        fixed_scale: float | None = 80.0,
        logit_scale: float | None = None,
    ) -> None:
        check_choice("boundaries", boundaries, Boundaries)
        super().__init__(
            partial(multi_class_circle_loss, margin=margin, boundaries=boundaries),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
