"""Document embeddings with noise while training, before the default loss."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses import JudgedContrastiveLoss, JudgedPairs
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.reduction import Direction, Reduction

__all__ = ["DocumentNoiseLoss", "Form", "noisy"]

Form = Literal["dropout", "gaussian"]
"""Of a unit vector x in D dimensions:

dropout   normalise(m ⊙ x), m_d ~ Bernoulli(1 − p): the cosine with x is about √(1 − p)
gaussian  normalise(x + p · ε / √D), ε ~ N(0, I): the noise has a norm of about p, the cosine is
          about 1 / √(1 + p²)
"""


class DocumentNoiseLoss(JudgedContrastiveLoss):
    """The default loss of document embeddings with noise; p = 0 is the default.

    Each call draws anew from torch's generator, so each term of a step has noise of its own. In
    evaluation mode there is none.

    p: how much: 0 to 1 (below 1 for "dropout").
    form: see `Form`.

    Raises:
        ValueError: an unknown form, or a p out of range.
    """

    def __init__(
        self,
        *,
        p: float = 0.1,
        form: Form = "dropout",
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
        if form not in get_args(Form):
            raise ValueError(f"expected a form of {get_args(Form)}, found {form!r}")
        if not 0.0 <= p <= 1.0 or (p == 1.0 and form == "dropout"):
            raise ValueError(f"expected a p of 0 to 1, and below 1 for dropout, found {p}")
        self.p, self.form = p, form

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return the loss, a scalar."""
        if self.training and self.p:
            document_embeddings = noisy(document_embeddings, self.p, self.form)
        return super().forward(query_embeddings, document_embeddings, pairs, logit_scale)


def noisy(embeddings: Tensor, p: float, form: Form) -> Tensor:
    """Return unit vectors with noise, N × D in float32 or wider, see `Form`.

    A vector that dropout leaves nothing of is 0.
    """
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    vectors = embeddings.to(dtype)
    if form == "dropout":
        return F.normalize(F.dropout(vectors, p), dim=-1)
    noise = torch.randn_like(vectors) / vectors.shape[1] ** 0.5
    return F.normalize(vectors + p * noise, dim=-1)
