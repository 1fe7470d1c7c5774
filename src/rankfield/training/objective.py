"""What a step minimises: the recipe's loss terms over the batch's embeddings, added up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
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
from rankfield.settings import Settings

__all__ = ["BatchPairs", "LossSection", "Objective"]


class LossSection(Settings):
    """What is minimised."""

    target: Literal["pair", "mask", "soft", "ranked"] = Field(
        "ranked",
        description="what a judged document competes with · pair: all others (the paper) · "
        "mask: the unjudged · ranked: the unjudged and the lower-scored · soft: as a distribution",
    )
    direction: Literal["rows", "columns", "both"] = Field(
        "rows", description="rows: documents compete for a query · columns: queries for a document"
    )
    form: Literal["softmax", "sigmoid"] = Field("softmax", description="sigmoid: as in SigLIP")
    weight: str = Field(
        "discount",
        description="score → weight: discount (of DCG, in the query's own list), constant (CLIP), "
        "linear, inverse, inverse_sqrt, log, exponential, piecewise, or module:function",
    )
    weight_parameters: dict[str, Any] = Field(
        {}, description="step, temperature or points of the weight function"
    )
    normaliser: Literal["weights", "count"] = Field(
        "weights", description="divide by the sum of weights or the number of pairs"
    )
    margin: float = Field(
        0.0, ge=0, lt=1, description="cosine by which a judged document must lead (mask, ranked)"
    )
    listwise: Literal["none", "listnet", "lambda"] = Field(
        "none", description="a term over each query's judged documents, added to the loss"
    )
    listwise_weight: float = Field(1.0, gt=0, description="of that term")
    listwise_temperature: float = Field(1.0, gt=0, description="its logits are divided by this")
    per_field: float = Field(
        0.0, ge=0, description="weight of a term for each document field alone, beside the fused"
    )
    logit_scale: float = Field(1 / 0.07, gt=0, le=1000, description="initial inverse temperature")
    max_logit_scale: float = Field(100.0, gt=0, le=1000, description="its upper limit")
    logit_bias: float = Field(-10.0, description="initial bias of the sigmoid form")
    matryoshka: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="dimensions that must rank too when the rest is cut off; empty: all alone"
    )

    @model_validator(mode="after")
    def _fits(self) -> LossSection:
        if self.margin and (self.target in ("pair", "soft") or self.form == "sigmoid"):
            raise ValueError("a margin needs the target mask or ranked in the softmax form")
        return self


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
