"""What a step minimises: the recipe's loss terms over the batch's embeddings, added up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from torch import Tensor

from rankfield.encoders.encoded import Encoded
from rankfield.losses import (
    LOSSES,
    JudgedPairs,
    MarginMSELoss,
    RankingLoss,
    is_own_loss,
    loss_class,
    loss_settings,
    make_loss,
    matryoshka,
)
from rankfield.losses.large_batches import DEFAULT_MIB
from rankfield.schema import ScoreScale
from rankfield.settings import Renamed, Settings
from rankfield.weighting import DISCOUNT, SOFT_DISCOUNT, WEIGHT_FUNCTIONS

__all__ = ["BatchPairs", "LossSection", "Objective"]


def _known_loss(name: str) -> str:
    if not is_own_loss(name):  # which is not imported before the recipe is allowed to
        loss_class(name)
    return name


def _known_target(target: object) -> object:
    if isinstance(target, str) and is_own_loss(target):
        raise ValueError(f"a loss of your own is loss.name = {target!r}")
    return target


def _known_term(name: str) -> str:
    if name != "none" and (is_own_loss(name) or not loss_class(name).listwise):
        known = ", ".join(one for one in LOSSES if loss_class(one).listwise)
        raise ValueError(f"the loss {name!r} is no listwise term; known: none, {known}")
    return name


def _takes(name: str, key: str) -> bool:
    return loss_class(name).takes_bias if key == "logit_bias" else key in loss_settings(name)


class LossSection(Settings):
    """What is minimised."""

    former_words: ClassVar[Mapping[str, Renamed]] = {
        "form": Renamed("name", {"softmax": "judged_contrastive"}),
        "normaliser": Renamed("reduction", {"weights": "mean", "count": "batchmean"}),
        "direction": Renamed(
            "direction", {"rows": "query_to_document", "columns": "document_to_query"}
        ),
    }

    name: Annotated[str, AfterValidator(_known_loss)] = Field(
        "judged_contrastive",
        description=f"one of {', '.join(LOSSES)}, or module:Class, a RankingLoss of your own",
    )
    parameters: dict[str, Any] = Field(
        {}, description="of that loss, those that have no key here, such as lambda's scheme"
    )
    target: Annotated[Literal["pair", "mask", "soft", "ranked"], BeforeValidator(_known_target)] = (
        Field(
            "ranked",
            description="what a judged document competes with · pair: all others (the paper) · "
            "mask: the unjudged · ranked: the unjudged and the lower-scored · soft: as a "
            "distribution",
        )
    )
    direction: Literal["query_to_document", "document_to_query", "both"] = Field(
        "query_to_document",
        description="query_to_document: documents compete for a query · "
        "document_to_query: queries for a document · both: half of each",
    )
    weight: str = Field(
        "discount",
        description=f"score → weight: {DISCOUNT} (of DCG, in the query's own list), "
        f"{SOFT_DISCOUNT} (for scores that are no grades), "
        f"{', '.join(WEIGHT_FUNCTIONS)}, or module:function",
    )
    weight_parameters: dict[str, Any] = Field(
        {}, description="step, temperature or points of the weight function"
    )
    reduction: Literal["mean", "batchmean", "sum"] = Field(
        "mean",
        description="mean: weighted, divided by the sum of weights · batchmean: the weighted sum "
        "divided by the number of pairs · sum",
    )
    margin: float = Field(
        0.0, ge=0, lt=1, description="cosine by which a judged document must lead (mask, ranked)"
    )
    listwise: Annotated[str, AfterValidator(_known_term)] = Field(
        "none",
        description="a term over each query's judged documents, added to the loss · one of none, "
        + ", ".join(name for name, loss in LOSSES.items() if loss.listwise),
    )
    listwise_weight: float = Field(1.0, gt=0, description="of that term")
    listwise_temperature: float = Field(1.0, gt=0, description="its logits are divided by this")
    margin_mse: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="weight of MarginMSE on the grades of the batch's documents, unjudged ones 0, "
        "added to the loss",
    )
    margin_mse_spread: float = Field(
        0.5, gt=0, le=2, description="by how much the cosines of best and worst grade are to differ"
    )
    per_field: float = Field(
        0.0, ge=0, description="weight of a term for each document field alone, beside the fused"
    )
    logit_scale: float = Field(1 / 0.07, gt=0, le=1000, description="initial inverse temperature")
    max_logit_scale: float = Field(100.0, gt=0, le=1000, description="its upper limit")
    memory_mib: float = Field(
        DEFAULT_MIB,
        ge=0,
        allow_inf_nan=False,
        description="MiB of logits that a large batch may keep for backward: more is faster",
    )
    logit_bias: float = Field(-10.0, description="initial bias of the loss sigmoid")
    matryoshka: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="dimensions that must rank too when the rest is cut off; empty: all alone"
    )

    @model_validator(mode="after")
    def _fits(self) -> LossSection:
        if not is_own_loss(self.name):
            self.check()
        return self

    def check(self) -> None:
        """Refuse what the loss would ignore; one of the user's own is imported.

        Raises:
            ValueError: a key or parameter that the loss has not, or no such loss.
        """
        loss = self.main_loss()
        for key in ("target", "direction", "reduction", "margin", "logit_bias", "memory_mib"):
            pairs = key == "target" and self.target == "pair" and loss.sampled
            if not (_takes(self.name, key) or pairs):
                self._refuse_given(key)
        if self.listwise == "none":
            known = ", ".join(name for name in LOSSES if loss_class(name).listwise)
            self.refuse_ignored(
                ("listwise_weight", "listwise_temperature"), f"a listwise term ({known})"
            )
        if not self.margin_mse:
            self.refuse_ignored(("margin_mse_spread",), "a margin_mse above 0")

    def _refuse_given(self, key: str) -> None:
        """Refuse a value of a key that the loss would ignore; the default may be written out."""
        default = type(self).model_fields[key].default
        if getattr(self, key) != default and is_own_loss(self.name):
            raise ValueError(
                f"{self.name} takes no {key}: name it in the constructor, or leave it at "
                f"{default!r}"
            )
        if getattr(self, key) != default:
            having = ", ".join(name for name in LOSSES if _takes(name, key))
            other = f" other than {default!r}" if default else ""
            raise ValueError(
                f"a {key}{other} needs another loss.name: {having}; {self.name} has none"
            )

    def main_loss(
        self, gain: Callable[[Tensor], Tensor] | None = None, *, distributed: bool = False
    ) -> RankingLoss:
        """Return the loss of the fused embeddings.

        Args:
            gain: scores → gains, for a loss that takes it.
            distributed: all processes hold the batch, and each computes its part of the loss.

        Raises:
            ValueError: the loss refuses a parameter.
        """
        settings = {
            "target": self.target,
            "direction": self.direction,
            "reduction": self.reduction,
            "margin": self.margin,
            "memory_mib": self.memory_mib,
            "gain": gain,
            "distributed": distributed,
        }
        return make_loss(self.name, settings, self.parameters)


@dataclass(frozen=True)
class BatchPairs:
    """The pairs that a batch was drawn for, and every judged pair that it happens to hold."""

    sampled: JudgedPairs
    judged: JudgedPairs

    def to(self, device: torch.device) -> BatchPairs:
        """Return the same on another device."""
        return BatchPairs(self.sampled.to(device), self.judged.to(device))


class Objective:
    """The main loss + further terms of the judged pairs + `per_field` · mean of the fields' terms.

    The further terms are `listwise_weight` · listwise and `margin_mse` · MarginMSE on grades.

    The target "pair" takes the sampled pairs, repeated records included, as the paper does; every
    other target takes the distinct queries and documents and all their judgments. All but the
    fields' terms are averaged over the dimensions of `matryoshka`. A field's term is the main loss
    with the documents' embeddings of that field alone; a field that none of the batch's sampled
    documents has, has no term.

    Args:
        section: of the recipe.
        scale: of the scores.
        distributed: every process holds the global batch's embeddings (`gather_shares`), and each
            computes its part of the losses that can be divided.
    """

    def __init__(
        self, section: LossSection, scale: ScoreScale, *, distributed: bool = False
    ) -> None:
        self.section, self.scale = section, scale
        self.main = section.main_loss(self._gains, distributed=distributed)
        settings = {"gain": self._gains, "distributed": distributed}
        term = section.listwise
        self.listwise = None if term == "none" else make_loss(term, settings)
        self.margins = MarginMSELoss(spread=section.margin_mse_spread, gain=self._gains)

    def __call__(self, encoded: Encoded, pairs: BatchPairs) -> Tensor:
        """Return the loss of the batch's embeddings, a scalar in float32 or wider.

        Args:
            encoded: of the global batch's distinct queries and documents.
            pairs: indices into both.
        """
        loss = matryoshka(
            lambda queries, documents: self._fused(
                encoded._replace(queries=queries, documents=documents), pairs
            ),
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
        loss = self._main(encoded, pairs)
        if self.listwise is not None:
            sharpness = encoded.logit_scale / self.section.listwise_temperature
            term = _value(self.listwise, encoded._replace(logit_scale=sharpness), pairs.judged)
            loss = loss + self.section.listwise_weight * term
        if self.section.margin_mse:
            loss = loss + self.section.margin_mse * _value(self.margins, encoded, pairs.judged)
        return loss

    def _fields(self, encoded: Encoded, pairs: BatchPairs) -> Iterator[Tensor]:
        for part in encoded.parts.values():
            present = part.detach().abs().sum(1) > 0
            known = BatchPairs(
                pairs.sampled.among_documents(present), pairs.judged.among_documents(present)
            )
            if len(known.sampled):
                yield self._main(encoded._replace(documents=part[present]), known)

    def _main(self, encoded: Encoded, pairs: BatchPairs) -> Tensor:
        return _value(self.main, encoded, pairs.sampled if self.main.sampled else pairs.judged)

    def _gains(self, scores: Tensor) -> Tensor:
        """Return the gains of the reported nDCG, divided by the largest: from 0 to 1."""
        return self.scale.linear_gain(scores) / (self.scale.span or 1.0)


def _value(loss: RankingLoss, encoded: Encoded, pairs: JudgedPairs) -> Tensor:
    bias = [encoded.bias] if loss.takes_bias else []
    value: Tensor = loss(encoded.queries, encoded.documents, pairs, encoded.logit_scale, *bias)
    return value
