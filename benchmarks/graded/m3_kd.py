"""FlagEmbedding's `m3_kd_loss`: document by document against all that did not come before.

FlagOpen/FlagEmbedding, FlagEmbedding/abc/finetune/embedder/AbsModeling.py, `distill_loss`, and
Chen et al., BGE M3-Embedding, arXiv 2402.03216. In the source the order is that of the group, the
positive first; here it is by descending grade. Teacher scores are grades times a `sharpness`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch
from rankfield.losses import JudgedPairs
from rankfield.losses.judged_lists import NO_LOGIT, judged_lists

__all__ = ["M3KDLoss", "m3_kd_loss"]


def m3_kd_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    sharpness: float = 10.0,
) -> Tensor:
    """Return FlagEmbedding's `m3_kd_loss`, a scalar in float32 or wider.

    With the judged documents j₁, j₂ … of query i by descending grade (of equal grades the later
    pair first), and p = softmax(sharpness · y) over them,

        loss = mean_i Σ_r p_{i j_r} · (log Σ_{k ∉ {j₁ … j_{r−1}}} exp Z_ik − Z_{i j_r})

    over the queries with a judgment; k runs over all documents of the batch but those.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0; the source's temperature is its inverse, 0.02 in its examples.
        sharpness: the teacher score of grade 1, ≥ 0.

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    own = batch.logits[pairs.queries, pairs.documents]
    lists = judged_lists(replace(pairs, scores=batch.of_pairs))
    logits = torch.where(lists.real, own[lists.pairs], NO_LOGIT)
    unjudged = batch.logits.masked_fill(batch.judged, NO_LOGIT).logsumexp(1)[lists.queries]
    # Lists ascend: what did not come before is all up to a position, itself included.
    remaining = torch.logaddexp(logits.logcumsumexp(1), unjudged[:, None])
    score = torch.where(lists.real, sharpness * batch.of_pairs[lists.pairs], NO_LOGIT)
    return torch.where(lists.real, score.softmax(1) * (remaining - logits), 0.0).sum(1).mean()


class M3KDLoss(GradedLoss):
    """FlagEmbedding's m3_kd_loss: each judged document against all that did not come before it.

    The module of `m3_kd_loss`.
    """

    def __init__(
        self,
        *,
        sharpness: float = 10.0,
        gain: Gain | None = None,
        fixed_scale: float | None = None,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(m3_kd_loss, sharpness=sharpness),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
