"""Softmax cross-entropy that knows every judgment of the batch.

The paper's loss (Zhu, Jung, Clark, arXiv 2404.08535) looks at one pair of each row: every other
document of the batch is a negative, also one that is judged for the same query. Here each judged
pair e = (i, j) competes with a set N(e) of other documents of its row:

soft     all others: the row's weights as a distribution, as in soft-label cross-entropy
mask     the unjudged ones: no judged document is pushed away
ranked   the unjudged ones and those of lower score, so that the loss learns the order: the
         Plackett–Luce likelihood (Plackett 1975; ListMLE, Xia et al. 2008), as in RINCE
         (Hoffmann et al., arXiv 2201.11736). Equal scores never compete.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses.judged import (
    Direction,
    JudgedPairs,
    Normaliser,
    check_batch,
    check_sums,
    judged_lists,
    total_weight,
)
from rankfield.losses.softplus import softplus

__all__ = ["Target", "judged_contrastive_loss"]

Target = Literal["mask", "soft", "ranked"]

_NOTHING = -1e30
"""The logit of what does not compete: finite, so that an empty set has a gradient of 0, not NaN."""


def judged_contrastive_loss(
    left: Tensor,
    right: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    *,
    target: Target = "ranked",
    direction: Direction = "both",
    normaliser: Normaliser = "weights",
    margin: float = 0.0,
) -> Tensor:
    """Return the weighted cross-entropy of the judged pairs, a scalar in float32 or wider.

    With logits Z = s · L Rᵀ and the competitors N(e) of pair e = (i, j) in its row,

        rows = Σ_e w_e · (log(exp(Z_ij − s·margin) + Σ_{k ∈ N(e)} exp Z_ik) − Z_ij + s·margin) / n

    with n = Σ_e w_e ("weights") or the number of pairs ("count"); "columns" is the same on Zᵀ
    (each judged query of a document competes with the queries for which that document is unjudged
    or of lower score), "both" is ½ (rows + columns). A pair of weight 0 adds nothing, yet is
    judged; weights of 0 alone give a loss of 0. With one judgment for each query and each document
    and no margin, all targets equal `contrastive_loss`.

    Args:
        left: m × D unit embeddings of distinct queries; half precision is computed in float32.
        right: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        logit_scale: s > 0, the inverse temperature.
        target: which documents a judged one competes with, see above.
        direction: "rows" (documents compete), "columns" (queries compete) or "both".
        normaliser: "weights" or "count".
        margin: a judged pair's cosine must exceed its competitors' by this (additive margin
            softmax, Wang et al., arXiv 1801.05599); 0 to 1, not for "soft".

    Raises:
        ValueError: shapes that do not fit, no pair, an unknown target, direction or normaliser, a
            margin outside 0 to 1 or for "soft".
    """
    check_batch(left, right, pairs)
    check_sums(direction, normaliser)
    _check(target, margin)
    # bf16 logits at scale 100 are 0.5 apart: products and sums stay in float32.
    dtype = torch.promote_types(left.dtype, torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        logits = logit_scale * (left.to(dtype) @ right.to(dtype).T)
        shift = logit_scale * margin if margin else 0.0
        weights = pairs.weights.to(dtype)
        loss = logits.new_zeros(())
        if direction != "columns":
            loss = loss + weights @ _losses(logits, pairs, target, shift)
        if direction != "rows":
            loss = loss + weights @ _losses(logits.T, pairs.transposed(), target, shift)
        halves = 2.0 if direction == "both" else 1.0
        return loss / (halves * total_weight(weights, normaliser))


def _losses(logits: Tensor, pairs: JudgedPairs, target: Target, shift: Tensor | float) -> Tensor:
    """Return each pair's cross-entropy among its competitors in the row, P."""
    if target == "soft":
        return -F.log_softmax(logits, dim=1)[pairs.queries, pairs.documents]
    own = logits[pairs.queries, pairs.documents]
    judged = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    judged[pairs.queries, pairs.documents] = True
    unjudged = logits.masked_fill(judged, _NOTHING).logsumexp(1)
    others = unjudged[pairs.queries] if target == "mask" else _lower(own, unjudged, pairs)
    # log(exp a + exp b) − a = softplus(b − a), without the cancellation of a loss near 0.
    return softplus(others - own + shift)


def _lower(own: Tensor, unjudged: Tensor, pairs: JudgedPairs) -> Tensor:
    """Return, for each pair, logsumexp over the unjudged and the lower-scored of its row."""
    lists = judged_lists(pairs)
    logits = torch.where(lists.real, own[lists.pairs], _NOTHING)
    rising = torch.cat([unjudged[lists.rows, None], logits], dim=1)
    up_to = torch.logcumsumexp(rising, dim=1)
    below = up_to.gather(1, lists.first_equal)
    return torch.zeros_like(own).index_copy(0, lists.pairs[lists.real], below[lists.real])


def _check(target: str, margin: float) -> None:
    if target not in get_args(Target):
        raise ValueError(f"expected the target mask, soft or ranked, found {target!r}")
    if not 0.0 <= margin <= 1.0:
        raise ValueError(f"expected a margin of 0 to 1, found {margin}")
    if margin and target == "soft":
        raise ValueError("the target 'soft' has no margin")
