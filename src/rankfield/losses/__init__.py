"""Losses on embeddings, each a pure function."""

from rankfield.losses.contrastive import contrastive_loss
from rankfield.losses.gather import gather_shares, gather_with_gradient
from rankfield.losses.judged import JudgedPairs
from rankfield.losses.listwise import lambda_loss, listnet_loss
from rankfield.losses.matryoshka import matryoshka, truncated
from rankfield.losses.sigmoid import sigmoid_loss
from rankfield.losses.targets import judged_contrastive_loss

__all__ = [
    "JudgedPairs",
    "contrastive_loss",
    "gather_shares",
    "gather_with_gradient",
    "judged_contrastive_loss",
    "lambda_loss",
    "listnet_loss",
    "matryoshka",
    "sigmoid_loss",
    "truncated",
]
