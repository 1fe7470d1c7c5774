"""Agreement of a document's fields: each field alone finds the other among the batch's documents.

    with field_agreement(0.1):
        train(recipe, dataset, out)

The loss gets weight · the mean over pairs of fields (f, g) of the symmetric InfoNCE of the unit
embeddings v_f and v_g of the documents that have both: −log softmax over j of s · v_f(i) · v_g(j)
at j = i, and the same from g to f (CLIP's loss, arXiv 2103.00020, between a document's own fields),
s the logit scale without its gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.encoders.encoded import Encoded
from rankfield.training import trainer
from rankfield.training.batches import TrainingBatch
from rankfield.training.objective import BatchPairs
from rankfield.training.step import TrainingStep

__all__ = ["agreement", "field_agreement"]


def agreement(parts: dict[str, Tensor], scale: Tensor) -> Tensor:
    """Return the mean over pairs of fields; 0 where no two documents have both.

    Args:
        parts: field → n × D unit embeddings, zero rows where a document lacks the field.
        scale: s, a scalar.
    """
    terms = [torch.zeros_like(scale)]
    for one, other in combinations(parts.values(), 2):
        both = (one.detach().abs().sum(1) > 0) & (other.detach().abs().sum(1) > 0)
        if both.sum() < 2:
            continue
        logits = scale * one[both] @ other[both].T
        own = torch.arange(len(logits), device=logits.device)
        terms.append((F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2)
    return torch.stack(terms).sum() / max(len(terms) - 1, 1)


class AgreeingStep(TrainingStep):
    """A training step whose loss has `weight` · agreement too; for one process."""

    weight = 0.1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ranking = self.objective

        def objective(encoded: Encoded, pairs: BatchPairs) -> Tensor:
            term = agreement(encoded.parts, encoded.logit_scale.detach())
            return ranking(encoded, pairs) + self.weight * term

        self.objective = objective  # type: ignore[assignment]

    def _gathered(self, encoded: Encoded, batch: TrainingBatch) -> Encoded:
        return super()._gathered(encoded, batch)._replace(parts=encoded.parts)


@contextmanager
def field_agreement(weight: float) -> Iterator[None]:
    """Let `train` take such steps while the context lasts; a weight of 0 changes nothing."""
    step = type("Step", (AgreeingStep,), {"weight": weight}) if weight else TrainingStep
    with patch.object(trainer, "TrainingStep", step):
        yield
