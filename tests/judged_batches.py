"""Random judged batches, and every judged loss beside its plain loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

import reference
from rankfield.losses import (
    JudgedPairs,
    judged_contrastive_loss,
    lambda_loss,
    listnet_loss,
    margin_mse_loss,
    sigmoid_loss,
    tiled_judged_contrastive_loss,
    tiled_sigmoid_loss,
)
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.lambda_loss import LambdaScheme
from rankfield.losses.reduction import Direction

__all__ = [
    "LISTWISE",
    "LOSSES",
    "PATTERNS",
    "SHAPES",
    "TARGETS",
    "Batch",
    "JudgedLoss",
    "assert_same",
    "from_logits",
    "gains",
    "random_batch",
    "soft_labels",
    "value_and_gradients",
]

JudgedLoss = Callable[[Tensor, Tensor, JudgedPairs, Tensor | float], Tensor]

SHAPES = [(1, 1), (1, 5), (4, 1), (7, 3), (5, 11)]

TARGETS: tuple[Target, ...] = ("mask", "soft", "ranked")
"""Those that take every judgment."""

TILED: tuple[tuple[Target, Direction], ...] = (
    ("mask", "query_to_document"),
    ("ranked", "query_to_document"),
    ("mask", "both"),
    ("ranked", "both"),
    ("soft", "both"),
)
"""Forms in tiles that every test of losses tries."""

TILES: dict[str, Any] = {"side": 2, "memory_mib": 2**-13}
"""Several tiles even of small batches, of which some are kept."""

LISTWISE = ("listnet", *get_args(LambdaScheme))
"""Losses over judged documents alone."""

PATTERNS = ["random", "full row", "all", "tied", "single"]


@dataclass(frozen=True)
class Batch:
    """m × D, n × D and their judged pairs."""

    queries: Tensor
    documents: Tensor
    pairs: JudgedPairs

    def to(self, dtype: torch.dtype) -> Batch:
        pairs = replace(self.pairs, weights=self.pairs.weights.to(dtype))
        return Batch(self.queries.to(dtype), self.documents.to(dtype), pairs)


def random_batch(
    m: int, n: int, pattern: str = "random", *, seed: int = 0, width: int = 3
) -> Batch:
    """Return a float64 batch.

    Of the judgments, "random" has about half, in four grades; "full row" leaves the last query and
    the last document without any where it can, and judges all others of the first query; "all" has
    all, in distinct scores; "tied" has about half, of one score; "single" one. The pairs come in
    random order.
    """
    g = torch.Generator().manual_seed(seed)
    embeddings = [torch.randn(k, width, generator=g, dtype=torch.float64) for k in (m, n)]
    judged = torch.rand(m, n, generator=g) < 0.5
    if pattern == "full row":
        judged[0] = True
        judged[max(1, m - 1) :] = False
        judged[:, max(1, n - 1) :] = False
    elif pattern == "all":
        judged[:] = True
    elif pattern == "single" or not judged.any():
        judged[:] = False
        judged[m // 2, n // 2] = True
    queries, documents = judged.nonzero()[torch.randperm(int(judged.sum()), generator=g)].T
    scores = {
        "all": torch.randperm(len(queries), generator=g) - 0.5,
        "tied": torch.full((len(queries),), 2.5),
    }.get(pattern, torch.randint(4, (len(queries),), generator=g).float())
    weights = torch.rand(len(queries), generator=g, dtype=torch.float64) + 0.01
    pairs = JudgedPairs(queries, documents, scores, weights)
    normalised = [F.normalize(x, dim=-1) for x in embeddings]
    return Batch(normalised[0], normalised[1], pairs)


def from_logits(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows whose products are the given m × n logits exactly."""
    return torch.eye(len(logits), dtype=logits.dtype), logits.T


def soft_labels(pairs: JudgedPairs, m: int, n: int) -> tuple[Tensor, Tensor]:
    """Return each row's weights as shares, m × n, and their sums, m."""
    weights = torch.zeros(m, n, dtype=torch.float64)
    weights[pairs.queries, pairs.documents] = pairs.weights
    total = weights.sum(1)
    return weights / total.where(total > 0, 1.0)[:, None], total


def gains(pairs: JudgedPairs) -> Tensor:
    """Exponential gains ≥ 0 of scores from −0.5."""
    return torch.exp2(pairs.scores.double() / 2) - 0.5


def value_and_gradients(loss: JudgedLoss, batch: Batch, scale: float = 7.3) -> list[Tensor]:
    """Return the loss and its gradients by embeddings, weights and scale; 0 by what it lacks."""
    leaves = [
        batch.queries,
        batch.documents,
        batch.pairs.weights,
        batch.queries.new_tensor(scale),
    ]
    leaves = [x.detach().clone().requires_grad_() for x in leaves]
    queries, documents, weights, s = leaves
    value = loss(queries, documents, replace(batch.pairs, weights=weights), s)
    found = torch.autograd.grad(value, leaves, allow_unused=True)
    return [value.detach()] + [
        torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True)
    ]


def assert_same(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-10) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, check_dtype=False)


def _with_gains(loss: Callable[..., Tensor], scheme: LambdaScheme) -> JudgedLoss:
    def with_gains(
        queries: Tensor,
        documents: Tensor,
        pairs: JudgedPairs,
        scale: Tensor | float,
        **keywords: Any,
    ) -> Tensor:
        return loss(queries, documents, pairs, gains(pairs), scale, scheme=scheme, **keywords)

    return with_gains


def _by_grades(loss: Callable[..., Tensor]) -> JudgedLoss:
    """A loss of cosines and grades, which logit scale and weights do not change."""

    def by_grades(
        queries: Tensor,
        documents: Tensor,
        pairs: JudgedPairs,
        scale: Tensor | float,
        **keywords: Any,
    ) -> Tensor:
        nothing = 0.0 * (scale + pairs.weights.sum())
        return loss(queries, documents, pairs, pairs.scores / 4, **keywords) + nothing

    return by_grades


def _losses() -> dict[str, tuple[JudgedLoss, JudgedLoss]]:
    found: dict[str, tuple[JudgedLoss, JudgedLoss]] = {
        "listnet": (listnet_loss, reference.listnet_loops),
        "margin_mse": (_by_grades(margin_mse_loss), _by_grades(reference.margin_mse_loops)),
    }
    for target in TARGETS:
        for direction in get_args(Direction):
            keywords = {"target": target, "direction": direction}
            found[f"{target} {direction}"] = (
                partial(judged_contrastive_loss, **keywords),
                partial(reference.judged_contrastive_loops, **keywords),
            )
        found[f"sigmoid {target}"] = (
            partial(sigmoid_loss, logit_bias=-3.0, target=target),
            partial(reference.sigmoid_loops, bias=-3.0, target=target),
        )
        found[f"tiled sigmoid {target}"] = (
            partial(tiled_sigmoid_loss, logit_bias=-3.0, target=target, **TILES),
            partial(reference.sigmoid_loops, bias=-3.0, target=target),
        )
    for target, direction in TILED:
        keywords = {"target": target, "direction": direction}
        found[f"tiled {target} {direction}"] = (
            partial(tiled_judged_contrastive_loss, **keywords, **TILES),
            partial(reference.judged_contrastive_loops, **keywords),
        )
    for scheme in get_args(LambdaScheme):
        found[scheme] = (
            _with_gains(lambda_loss, scheme),
            _with_gains(reference.lambda_loops, scheme),
        )
    return found


LOSSES = _losses()
"""Name → (the loss, its plain loops), over (queries, documents, pairs, scale)."""
