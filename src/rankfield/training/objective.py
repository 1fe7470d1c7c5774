"""What a step minimises: the recipe's loss terms over the batch's embeddings, added up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rankfield.losses import (
    JudgedPairs,
    contrastive_loss,
    judged_contrastive_loss,
    lambda_loss,
    listnet_loss,
    sigmoid_loss,
)
from rankfield.schema import ScoreScale
from rankfield.training.recipe import LossSection

__all__ = ["BatchPairs", "Objective"]


@dataclass(frozen=True)
class BatchPairs:
    """The pairs that a batch was drawn for, and every judged pair that it happens to hold."""

    sampled: JudgedPairs
    judged: JudgedPairs

    def to(self, device: torch.device) -> BatchPairs:
        """Return the same on another device."""
        return BatchPairs(self.sampled.to(device), self.judged.to(device))


@dataclass(frozen=True)
class Objective:
    """contrastive term + `listwise_weight` · listwise term, as the section `[loss]` says.

    The target "pair" takes the sampled pairs as rows and columns, repeated records included, as the
    paper does; every other target takes the distinct queries and documents and all their judgments.
    """

    section: LossSection
    scale: ScoreScale

    def __call__(
        self, left: Tensor, right: Tensor, pairs: BatchPairs, logit_scale: Tensor, bias: Tensor
    ) -> Tensor:
        """Return the loss, a scalar in float32 or wider.

        Args:
            left: m × D unit embeddings of the batch's distinct queries, of all processes.
            right: n × D unit embeddings of its distinct documents.
            pairs: indices into both.
            logit_scale: s > 0.
            bias: b of the sigmoid form.
        """
        section = self.section
        loss = self._contrastive(left, right, pairs, logit_scale, bias)
        if section.listwise == "none":
            return loss
        sharpness = logit_scale / section.listwise_temperature
        if section.listwise == "listnet":
            term = listnet_loss(left, right, pairs.judged, sharpness)
        else:
            gains = self._gains(pairs.judged.scores)
            term = lambda_loss(left, right, pairs.judged, gains, sharpness)
        return loss + section.listwise_weight * term

    def _contrastive(
        self, left: Tensor, right: Tensor, pairs: BatchPairs, logit_scale: Tensor, bias: Tensor
    ) -> Tensor:
        section = self.section
        direction, normaliser = section.direction, section.normaliser
        known = pairs.judged
        target = section.target
        if target == "pair":
            known, target = _diagonal(pairs.sampled), "mask"
            left, right = left[pairs.sampled.queries], right[pairs.sampled.documents]
            if section.form == "softmax":
                return contrastive_loss(
                    left,
                    right,
                    known.weights,
                    logit_scale,
                    direction=direction,
                    normaliser=normaliser,
                )
        if section.form == "sigmoid":
            return sigmoid_loss(
                left,
                right,
                known,
                logit_scale,
                bias,
                target=target,
                direction=direction,
                normaliser=normaliser,
            )
        return judged_contrastive_loss(
            left,
            right,
            known,
            logit_scale,
            target=target,
            direction=direction,
            normaliser=normaliser,
            margin=section.margin,
        )

    def _gains(self, scores: Tensor) -> Tensor:
        """Return linear gains from 0 to 1 over the score scale."""
        spread = (self.scale.maximum - self.scale.minimum) or 1.0
        return (scores - self.scale.minimum) / spread


def _diagonal(pairs: JudgedPairs) -> JudgedPairs:
    """Return the pairs as rows and columns of their own."""
    place = torch.arange(len(pairs), device=pairs.weights.device)
    return JudgedPairs(place, place, pairs.scores, pairs.weights)
