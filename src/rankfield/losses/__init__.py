"""Losses on embeddings: a pure function first, the thin module second."""

from rankfield.losses.contrastive import ContrastiveLoss, contrastive_loss
from rankfield.losses.gather import gather_with_gradient

__all__ = ["ContrastiveLoss", "contrastive_loss", "gather_with_gradient"]
