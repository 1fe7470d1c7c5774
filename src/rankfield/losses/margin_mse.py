"""MarginMSE on grades: differences of cosines follow differences of grades.

Hofstätter et al., Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
Distillation, arXiv 2010.02666, take a teacher's margins between a positive and a negative. Here the
margins are those of the grades between any two documents of the batch, unjudged ones with grade 0.

A contrastive loss pushes what is lower away without end, and in the end learns accidents of the
training documents. Here a cosine is right where it shows the grade, and what is unjudged stays
together: as a term beside the contrastive loss it ranks new documents better.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rankfield.losses.judged_pairs import JudgedPairs, check_batch
from rankfield.losses.ranking_loss import RankingLoss
from rankfield.losses.reduction import ListReduction, check_choice, of_lists

__all__ = ["MarginMSELoss", "margin_mse_loss"]


def margin_mse_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    *,
    spread: float = 0.5,
    reduction: ListReduction = "mean",
) -> Tensor:
    """Return the mean squared error of margins, a scalar in float32 or wider.

    With cosines C = Q Dᵀ and grades Y, 0 where nothing is judged,

        loss = mean_i 1/n² Σ_j Σ_k ((C_ij − C_ik) / spread − (Y_ij − Y_ik))²

    over the queries i with a judgment and all n documents j and k: twice the variance of
    C_ij / spread − Y_ij over j. It takes O((m + n) · D² + P · D) time and no matrix of m × n, in
    float64 where the device has it.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: P judged pairs of the batch, each once; their weights do not count.
        grades: float P, usually 0 to 1.
        spread: by how much the cosines of grade 1 and grade 0 are to differ, above 0, to 2.
        reduction: "mean" or "sum" over the queries with a judgment, or "none": their R losses, in
            ascending order of the query.

    Raises:
        ValueError: shapes that do not fit, no pair, an unknown reduction, a spread out of range.
    """
    check_choice("reduction", reduction, ListReduction)
    check_batch(query_embeddings, document_embeddings, pairs)
    _check_spread(spread)
    if grades.shape != pairs.queries.shape:
        raise ValueError(f"expected {len(pairs)} grades, found shape {tuple(grades.shape)}")
    dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
    # The variance is a difference of sums that nearly cancel where the fit is good.
    wide = dtype if query_embeddings.device.type == "mps" else torch.float64
    with torch.autocast(query_embeddings.device.type, enabled=False):
        queries = query_embeddings.to(wide) / spread
        documents = document_embeddings.to(wide)
        documents = documents - documents.mean(0)
        judged, own = torch.unique(pairs.queries, return_inverse=True)
        queries, count = queries[judged], len(documents)
        moments = documents.T @ documents / count
        known = grades.to(wide)
        products = (queries[own] * documents[pairs.documents]).sum(1)
        # Over the n documents: Var C − 2 Cov(C, Y) + Var Y.
        of_pairs = (known.square() - 2.0 * known * products) / count
        total = torch.zeros(len(judged), dtype=wide, device=known.device)
        means = total.index_add(0, own, known) / count
        variance = ((queries @ moments) * queries).sum(1) + total.index_add(0, own, of_pairs)
        return of_lists(2.0 * (variance - means.square()).clamp(min=0.0), reduction).to(dtype)


class MarginMSELoss(RankingLoss):
    """MarginMSE on grades: differences of cosines follow differences of grades.

    The module of `margin_mse_loss`; it has no use for a logit scale.

    gain: scores → grades, 0 to 1; None: the scores are grades.
    """

    def __init__(
        self,
        *,
        spread: float = 0.5,
        reduction: ListReduction = "mean",
        gain: Callable[[Tensor], Tensor] | None = None,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(logit_scale=logit_scale)
        check_choice("reduction", reduction, ListReduction)
        _check_spread(spread)
        self.spread, self.reduction, self.gain = spread, reduction, gain

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,  # noqa: ARG002 - as all losses are called
    ) -> Tensor:
        """Return `margin_mse_loss`."""
        grades = pairs.scores if self.gain is None else self.gain(pairs.scores)
        return margin_mse_loss(
            query_embeddings,
            document_embeddings,
            pairs,
            grades,
            spread=self.spread,
            reduction=self.reduction,
        )


def _check_spread(spread: float) -> None:
    if not 0.0 < spread <= 2.0:
        raise ValueError(f"expected a spread above 0, to 2, found {spread}")
