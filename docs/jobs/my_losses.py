"""A loss of one's own, for `loss.name = "my_losses:HingeLoss"`."""

from __future__ import annotations

import torch
from torch import Tensor

from rankfield.losses import JudgedPairs, RankingLoss

__all__ = ["HingeLoss"]


class HingeLoss(RankingLoss):
    """Each judged document must lead each other document of the batch by a margin."""

    def __init__(
        self, *, margin: float = 0.0, power: float = 1.0, logit_scale: float | None = None
    ) -> None:
        super().__init__(logit_scale=logit_scale)
        self.margin, self.power = margin, power

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return the weighted mean of the pairs' hinges."""
        cosines = query_embeddings @ document_embeddings.T
        own = cosines[pairs.queries, pairs.documents]
        costs = torch.relu(cosines[pairs.queries] - own[:, None] + self.margin).pow(self.power)
        others = torch.ones_like(costs).scatter_(1, pairs.documents[:, None], 0.0)
        weights = pairs.weights.to(costs)
        return self.scale(logit_scale) * (weights @ (costs * others).sum(1)) / weights.sum()
