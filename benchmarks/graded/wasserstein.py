"""SyCL's 2-Wasserstein loss: Gaussians fitted to a batch's distributions over documents.

Esfandiarpoor et al., Beyond Contrastive Learning: Synthetic Data Enables List-wise Training with
Multiple Levels of Relevance, arXiv 2503.23239; BatsResearch/sycl, train.py, `WS2Loss`. There labels
are whole grades, 0 to 3; here they are grades from 0 to 1 times a `sharpness`. The trace of the
root is a sum of singular values here, of roots of eigenvalues there, which is the same number.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from graded.graded_loss import GradedLoss
from graded.grades import Gain, graded_batch
from rankfield.losses import JudgedPairs

__all__ = ["WassersteinLoss", "wasserstein_loss"]


def wasserstein_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    logit_scale: Tensor | float,
    *,
    sharpness: float = 3.0,
) -> Tensor:
    """Return the squared 2-Wasserstein distance of two Gaussians, a scalar in float32 or wider.

    The rows of X = softmax(Z) and Y = softmax(sharpness · y), both over all n documents, for the
    queries with a judgment are samples of n dimensions. With their means μ and covariances C (0 of
    a single query),

        loss = ‖μ_X − μ_Y‖² + tr C_X + tr C_Y − 2 · tr (C_X C_Y)^{1/2}

    computed in float64, as in the source. It compares the batch as a whole: it is 0, too, where
    queries have exchanged their lists.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        grades: float P, 0 to 1.
        logit_scale: s > 0, the inverse of the source's temperature.
        sharpness: the label of grade 1, ≥ 0.

    Raises:
        ValueError: as `graded_batch`.
    """
    batch = graded_batch(query_embeddings, document_embeddings, pairs, grades, logit_scale)
    known = batch.judged.any(1)
    found = batch.logits[known].double().softmax(1)
    wanted = (sharpness * batch.grades[known].double()).softmax(1)
    means = found.mean(0), wanted.mean(0)
    root = max(len(found) - 1, 1) ** 0.5
    x, y = (found - means[0]) / root, (wanted - means[1]) / root
    # tr (C_X C_Y)^½ with C = EᵀE is the sum of the singular values of E_X E_Yᵀ, m × m.
    shared = torch.linalg.svdvals(x @ y.T).sum()
    distance: Tensor = (
        ((means[0] - means[1]) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2.0 * shared
    )
    return distance.to(batch.logits)


class WassersteinLoss(GradedLoss):
    """SyCL's 2-Wasserstein distance of Gaussians fitted to logits and grades of the batch.

    The module of `wasserstein_loss`.
    """

    def __init__(
        self,
        *,
        sharpness: float = 3.0,
        gain: Gain | None = None,
        fixed_scale: float | None = None,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            partial(wasserstein_loss, sharpness=sharpness),
            gain=gain,
            fixed_scale=fixed_scale,
            logit_scale=logit_scale,
        )
