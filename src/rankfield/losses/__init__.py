"""Losses on embeddings: a pure function first, the thin module second."""

from rankfield.losses.contrastive import ContrastiveLoss, contrastive_loss
from rankfield.losses.gather import gather_with_gradient
from rankfield.losses.matryoshka import matryoshka, truncated

__all__ = [
    "ContrastiveLoss",
    "contrastive_loss",
    "gather_with_gradient",
    "matryoshka",
    "truncated",
]
