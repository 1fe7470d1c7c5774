"""Every loss of `losses.LOSSES` as a loss of sentence-transformers' trainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rankfield.errors import DataError
from rankfield.integrations.sentence_transformers.batch_judgments import (
    BatchJudgments,
    batch_judgments,
    gather_judgments,
    judged_pairs,
)
from rankfield.integrations.sentence_transformers.batch_records import column_records
from rankfield.integrations.sentence_transformers.library import needs_library
from rankfield.integrations.sentence_transformers.score_weights import (
    Scale,
    ScoreWeights,
    scale_of,
)
from rankfield.losses import RankingLoss, loss_class, loss_settings, make_loss

with needs_library(__name__):
    from sentence_transformers.base.losses.gradcache import CachedLossMixin
    from sentence_transformers.base.losses.merged_forward import embed_columns

__all__ = ["GCLLoss", "GradedLoss", "RankedLoss"]


class GradedLoss(CachedLossMixin, nn.Module):  # type: ignore[misc]
    """A loss of `losses.LOSSES` over rows of a query, a document and a score.

    Rows of equal content are one record: it is encoded once, and a document that another row of
    the batch judges for the query is no unjudged one. Only the batch's own rows are known; a pair
    that is repeated counts once, with its mean score (but for losses of single pairs, such as
    "contrastive"). Embeddings are normalised, so that similarities are cosines.

    The label is the score, or [score, weight] as `with_weights` makes it. Without a weight
    `weight` gives it; "discount" and "soft_discount" then look at the query's documents in the
    batch.

    Args:
        model: the `SentenceTransformer`.
        name: of `losses.LOSSES`.
        weight: score → weight: a name of `weighting.WEIGHT_FUNCTIONS` or
            `weighting.LIST_WEIGHTS`, or "module:function".
        weight_parameters: what that function takes beside scores and scale.
        score_scale: (minimum, maximum) of the scores, or a `ScoreScale`. Not needed for
            "constant", "linear" and those of lists: without it, scores up to 0 are worth nothing.
        scale: s, which cosines are multiplied with; the inverse temperature.
        learn_scale: learn s from there on, at most 100; the trainer's optimiser gets it.
        logit_bias: b, of the loss "sigmoid"; learnt along with s.
        mini_batch_size: encode so many texts at a time and keep no activations of the others
            (Gao et al., arXiv 2101.06983): gradients are the same, memory does not grow with the
            batch, and everything is encoded twice. None: all at once.
        mini_batch_num_tokens: with `mini_batch_size`: pack mini-batches by tokens instead.
        gather_across_devices: compute the loss of all processes' rows, as of one batch.
        show_progress_bar: over mini-batches.
        parameters: keywords of the loss, such as ``target``, ``direction`` or ``reduction``.

    Raises:
        ValueError: an unknown name or parameter, a scale that is not above 0, a learnt scale with
            mini-batches, or a weight function that needs a score scale.
    """

    def __init__(
        self,
        model: Any,
        name: str = "judged_contrastive",
        *,
        weight: str = "constant",
        weight_parameters: Mapping[str, Any] | None = None,
        score_scale: Scale | None = None,
        scale: float = 20.0,
        learn_scale: bool = False,
        logit_bias: float = -10.0,
        mini_batch_size: int | None = None,
        mini_batch_num_tokens: int | None = None,
        gather_across_devices: bool = False,
        show_progress_bar: bool = False,
        **parameters: Any,
    ) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"expected a scale above 0, found {scale}")
        if mini_batch_size is not None and (mini_batch_size < 1 or learn_scale):
            expected = "no learn_scale with it" if learn_scale else "at least 1"
            raise ValueError(f"mini_batch_size={mini_batch_size}: expected {expected}")
        self.model = model
        self.name, self.scale, self.logit_bias = name, scale, logit_bias
        self.weights = ScoreWeights(weight, score_scale, weight_parameters or {})
        self.mini_batch_size = mini_batch_size
        self.mini_batch_num_tokens = mini_batch_num_tokens
        self.gather_across_devices = gather_across_devices
        self.show_progress_bar = show_progress_bar
        self.uses_gradient_cache = mini_batch_size is not None
        self.learn_scale, self.parameters_of_loss = learn_scale, parameters
        self.criterion = self._criterion()

    def _criterion(self) -> RankingLoss:
        settings = {"gain": self._gains, "distributed": self.gather_across_devices}
        loss = make_loss(self.name, settings, self.parameters_of_loss)
        if self.learn_scale:
            own = dict.fromkeys(loss_settings(self.name))
            bias = {"logit_bias": self.logit_bias} if loss.takes_bias else {}
            given = {one: getattr(loss, one) for one in own}
            loss = loss_class(self.name)(**given, logit_scale=self.scale, **bias)
        return loss

    def _gains(self, scores: Tensor) -> Tensor:
        scale = scale_of(self.weights.scale, scores.detach().double().cpu().numpy())
        return scale.linear_gain(scores) / (scale.span or 1.0)

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None) -> Tensor:
        """Return the loss of a batch.

        Args:
            sentence_features: the columns of queries and documents, tokenized.
            labels: N scores, or N × 2 scores and weights.

        Raises:
            DataError: not two columns, no labels, or labels that are not finite.
        """
        columns = list(sentence_features)
        if len(columns) != 2 or labels is None:
            found = "no labels" if labels is None else f"{len(columns)} columns"
            raise DataError(
                f"expected a column of queries, one of documents and one of scores, found {found}",
                where="data set of the trainer",
                remedy='Keep the columns "anchor", "document" and "score".',
            )
        queries, documents = (
            column_records(column, len(labels), with_keys=self.gather_across_devices)
            for column in columns
        )
        judgments = batch_judgments(queries, documents, labels)
        encoded = [queries.features, documents.features]
        if self.uses_gradient_cache:
            loss: Tensor = CachedLossMixin.forward_cached(self, encoded, judgments)
            return loss
        embeddings = embed_columns(self.model, encoded)
        return self.calculate_loss([[column] for column in embeddings], judgments)

    def calculate_loss(
        self,
        reps: list[list[Tensor]],
        labels: BatchJudgments,
        *,
        with_backward: bool = False,
    ) -> Tensor:
        """Return the loss of the embeddings of the encoded records, given in mini-batches.

        Args:
            reps: of queries and of documents.
            labels: their judged pairs.
            with_backward: go backward and return the loss without its graph.
        """
        queries, documents = (
            _unit(_kept(torch.cat(side), kept))
            for side, kept in zip(reps, (labels.queries, labels.documents), strict=True)
        )
        table = labels.pairs
        if self.gather_across_devices:
            queries, documents, table = gather_judgments(queries, documents, labels)
        pairs = judged_pairs(table, self.weights, once=not self.criterion.sampled)
        pairs = pairs.to(queries.device)
        given: list[float] = []
        if not self.learn_scale:
            given = [self.scale, self.logit_bias] if self.criterion.takes_bias else [self.scale]
        loss: Tensor = self.criterion(queries, documents, pairs, *given)
        if with_backward:
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        """Return the settings, for the model card."""
        return {
            "name": self.name,
            "weight": self.weights.name,
            "scale": self.scale,
            "learn_scale": self.learn_scale,
            "mini_batch_size": self.mini_batch_size,
            "gather_across_devices": self.gather_across_devices,
            **self.parameters_of_loss,
        }


def _kept(embeddings: Tensor, rows: Tensor) -> Tensor:
    """Return the embeddings of these rows, which ascend."""
    if len(rows) == len(embeddings):
        return embeddings
    return embeddings.index_select(0, rows.to(embeddings.device))


def _unit(embeddings: Tensor) -> Tensor:
    """Return unit embeddings in float32 or wider: halves are too coarse for a loss."""
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    return F.normalize(embeddings.to(dtype), dim=-1)


class RankedLoss(GradedLoss):
    """Each judged document competes with those of lower score and the unjudged ones.

    `GradedLoss` of "judged_contrastive" with the settings of rankfield's default method: ranking
    InfoNCE over documents, weights by the place in the query's list. Arguments are those of
    `GradedLoss`.
    """

    def __init__(self, model: Any, *, weight: str = "discount", **settings: Any) -> None:
        preset = {"target": "ranked", "direction": "query_to_document"}
        super().__init__(model, "judged_contrastive", weight=weight, **{**preset, **settings})


class GCLLoss(GradedLoss):
    """The loss of Generalized Contrastive Learning: pairs weighted by score, all else negative.

    `GradedLoss` of "contrastive" (Zhu, Jung, Clark, arXiv 2404.08535), in both directions.
    Arguments are those of `GradedLoss`.
    """

    citation: ClassVar[str] = """
@misc{zhu2024generalized,
    title={Generalized Contrastive Learning for Multi-Modal Retrieval and Ranking},
    author={Tianyu Zhu and Myong Chol Jung and Jesse Clark},
    year={2024},
    eprint={2404.08535},
    archivePrefix={arXiv},
}
"""

    def __init__(self, model: Any, *, weight: str = "linear", **settings: Any) -> None:
        super().__init__(model, "contrastive", weight=weight, **settings)
