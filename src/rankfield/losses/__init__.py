"""Losses on embeddings: each a pure function and a thin module over it; `LOSSES` names them."""

from rankfield.losses.contrastive import ContrastiveLoss, contrastive_loss
from rankfield.losses.gather import gather_shares, gather_with_gradient
from rankfield.losses.judged_contrastive import JudgedContrastiveLoss, judged_contrastive_loss
from rankfield.losses.judged_pairs import JudgedPairs
from rankfield.losses.lambda_loss import LambdaLoss, lambda_loss
from rankfield.losses.listnet import ListNetLoss, listnet_loss
from rankfield.losses.margin_mse import MarginMSELoss, margin_mse_loss
from rankfield.losses.matryoshka import MatryoshkaLoss, matryoshka, truncated
from rankfield.losses.ranking_loss import RankingLoss
from rankfield.losses.sigmoid import SigmoidLoss, sigmoid_loss
from rankfield.losses.table import (
    LOSSES,
    is_own_loss,
    loss_class,
    loss_description,
    loss_settings,
    make_loss,
)
from rankfield.losses.tiled_contrastive import (
    tiled_contrastive_loss,
    tiled_judged_contrastive_loss,
)
from rankfield.losses.tiled_sigmoid import tiled_sigmoid_loss

__all__ = [
    "LOSSES",
    "ContrastiveLoss",
    "JudgedContrastiveLoss",
    "JudgedPairs",
    "LambdaLoss",
    "ListNetLoss",
    "MarginMSELoss",
    "MatryoshkaLoss",
    "RankingLoss",
    "SigmoidLoss",
    "contrastive_loss",
    "gather_shares",
    "gather_with_gradient",
    "is_own_loss",
    "judged_contrastive_loss",
    "lambda_loss",
    "listnet_loss",
    "loss_class",
    "loss_description",
    "loss_settings",
    "make_loss",
    "margin_mse_loss",
    "matryoshka",
    "sigmoid_loss",
    "tiled_contrastive_loss",
    "tiled_judged_contrastive_loss",
    "tiled_sigmoid_loss",
    "truncated",
]
