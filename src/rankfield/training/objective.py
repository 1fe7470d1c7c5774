"""What a step minimises: the recipe's loss terms over the batch's embeddings, added up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rankfield.encoders.encoded import Encoded
from rankfield.losses import (
    JudgedPairs,
    contrastive_loss,
    judged_contrastive_loss,
    lambda_loss,
    listnet_loss,
    matryoshka,
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
    """contrastive + `listwise_weight` · listwise + `per_field` · mean over the fields' terms.

    The target "pair" takes the sampled pairs as rows and columns, repeated records included, as the
    paper does; every other target takes the distinct queries and documents and all their judgments.
    The first two are averaged over the dimensions of `matryoshka`. A field's term is the
    contrastive one with the documents' embeddings of that field alone; a field that none of the
    batch's sampled documents has, has no term.
    """

    section: LossSection
    scale: ScoreScale

    def __call__(self, encoded: Encoded, pairs: BatchPairs) -> Tensor:
        """Return the loss of the batch's embeddings, a scalar in float32 or wider.

        Args:
            encoded: of the global batch's distinct queries and documents.
            pairs: indices into both.
        """
        loss = matryoshka(
            lambda left, right: self._fused(encoded._replace(queries=left, documents=right), pairs),
            encoded.queries,
            encoded.documents,
            self.section.matryoshka,
        )
        if self.section.per_field:
            terms = list(self._fields(encoded, pairs))
            if terms:  # none of the batch's judged documents may have a field
                loss = loss + self.section.per_field * torch.stack(terms).mean()
        return loss

    def _fused(self, encoded: Encoded, pairs: BatchPairs) -> Tensor:
        loss = self._contrastive(encoded, pairs)
        if self.section.listwise == "none":
            return loss
        return loss + self.section.listwise_weight * self._listwise(encoded, pairs.judged)

    def _fields(self, encoded: Encoded, pairs: BatchPairs) -> Iterator[Tensor]:
        for part in encoded.parts.values():
            present = part.detach().abs().sum(1) > 0
            known = BatchPairs(
                pairs.sampled.among_documents(present), pairs.judged.among_documents(present)
            )
            if len(known.sampled):
                yield self._contrastive(encoded._replace(documents=part[present]), known)

    def _listwise(self, encoded: Encoded, judged: JudgedPairs) -> Tensor:
        sharpness = encoded.logit_scale / self.section.listwise_temperature
        left, right = encoded.queries, encoded.documents
        if self.section.listwise == "listnet":
            return listnet_loss(left, right, judged, sharpness)
        return lambda_loss(left, right, judged, self._gains(judged.scores), sharpness)

    def _contrastive(self, encoded: Encoded, pairs: BatchPairs) -> Tensor:
        section = self.section
        left, right, logit_scale, bias = encoded[:4]
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
        """Return the gains of the reported nDCG, divided by the largest: from 0 to 1."""
        return self.scale.linear_gain(scores) / (self.scale.span or 1.0)


def _diagonal(pairs: JudgedPairs) -> JudgedPairs:
    """Return the pairs as rows and columns of their own."""
    place = torch.arange(len(pairs), device=pairs.weights.device)
    return JudgedPairs(place, place, pairs.scores, pairs.weights)
