"""MarginMSE on grades: differences of logits against differences of grades.

Hofstätter et al., Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
Distillation, arXiv 2010.02666; `MarginMSELoss` of sentence-transformers 6.2. There the margins are
those of a teacher between one positive and its negatives; here those of the grades between any two
documents of a query of different grade.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch, mean_of_queries
from rankfield.losses import JudgedPairs

__all__ = ["MarginMSELoss", "margin_mse_loss"]


def margin_mse_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    unjudged: bool = False,
) -> Tensor:
    """Return the mean squared error of margins, a scalar in float32 or wider.

        loss = mean_i mean_{j,k: y_ij > y_ik} ((Z_ij − Z_ik) − (y_ij − y_ik))²

    over the queries with two judged documents of different grade.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0: grades 0 and 1 are to be 1 / s apart as cosines.
        unjudged: unjudged documents take part, with the grade 0; they do not in the source.

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    lower = batch.grades[pairs.queries] < batch.of_pairs[:, None]
    if not unjudged:
        lower = lower & batch.judged[pairs.queries]
    excess = batch.logits - batch.grades
    own = excess[pairs.queries, pairs.documents]
    squares = torch.where(lower, (own[:, None] - excess[pairs.queries]) ** 2, 0.0).sum(1)
    zeros = squares.new_zeros(len(excess))
    total = zeros.index_add(0, pairs.queries, squares)
    number = zeros.index_add(0, pairs.queries, lower.sum(1).to(squares))
    return mean_of_queries(total / number.clamp(min=1), number > 0)


class MarginMSELoss(GradedLoss):
    """MarginMSE on grades: differences of logits against differences of grades.

    The module of `margin_mse_loss`; the scale is fixed, None takes the model's.
    """

    def __init__(
        self,
        *,
        unjudged: bool = False,
        gain: Gain | None = None,
        fixed_scale: float | None = 1.0,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(margin_mse_loss, unjudged=unjudged),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
