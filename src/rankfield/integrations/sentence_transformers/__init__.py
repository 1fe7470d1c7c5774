"""Losses, a batch sampler and an evaluator for the trainer of sentence-transformers.

The names load sentence-transformers when they are first used; without it they raise a
`MissingExtraError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.integrations.sentence_transformers.batch_sampler import QueryGroupBatchSampler
    from rankfield.integrations.sentence_transformers.evaluator import GradedRetrievalEvaluator
    from rankfield.integrations.sentence_transformers.graded_loss import (
        GCLLoss,
        GradedLoss,
        RankedLoss,
    )
    from rankfield.integrations.sentence_transformers.score_weights import with_weights

__all__ = [
    "GCLLoss",
    "GradedLoss",
    "GradedRetrievalEvaluator",
    "QueryGroupBatchSampler",
    "RankedLoss",
    "with_weights",
]

_HOMES = {
    "GCLLoss": "graded_loss",
    "GradedLoss": "graded_loss",
    "GradedRetrievalEvaluator": "evaluator",
    "QueryGroupBatchSampler": "batch_sampler",
    "RankedLoss": "graded_loss",
    "with_weights": "score_weights",
}

__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
