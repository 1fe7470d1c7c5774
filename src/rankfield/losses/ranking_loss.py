"""The base of the losses as modules."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

__all__ = ["RankingLoss"]

_LARGEST_SCALE = 100.0


class RankingLoss(nn.Module):
    """A loss over embeddings and what is judged about them, as a module.

    ``loss(query_embeddings, document_embeddings, pairs, logit_scale)``: unit embeddings m × D and
    n × D, the `JudgedPairs` among them, and the inverse temperature.

    The logit scale normally belongs to the model that is trained, which gives it with each call.
    A loss that is made with a `logit_scale` has one of its own for calls without: it begins there,
    is learnt (so the optimiser needs ``loss.parameters()`` too), and is kept at 100 or below.

    A subclass defines `forward` and takes its settings as keywords. Training gives it those of
    `direction`, `reduction`, `target`, `margin`, `gain`, `memory_mib` and `distributed` that its
    constructor names.

    Raises:
        ValueError: a logit scale that is not above 0.
    """

    listwise: ClassVar[bool] = False
    """Whether the loss looks at judged documents alone, so that it can be a term beside another."""

    takes_bias: ClassVar[bool] = False
    """Whether calls take a `logit_bias` after the logit scale."""

    log_logit_scale: nn.Parameter | None

    def __init__(self, *, logit_scale: float | None = None) -> None:
        super().__init__()
        if logit_scale is not None and not logit_scale > 0:
            raise ValueError(f"expected a logit scale above 0, found {logit_scale}")
        own = None if logit_scale is None else nn.Parameter(torch.tensor(math.log(logit_scale)))
        self.register_parameter("log_logit_scale", own)

    @property
    def sampled(self) -> bool:
        """Whether training gives the pairs that a batch was drawn for in place of all judged ones.

        They may repeat queries, documents and pairs.
        """
        return False

    def scale(self, given: Tensor | float | None) -> Tensor | float:
        """Return the logit scale that was given, or else the loss's own.

        Raises:
            ValueError: there is neither.
        """
        if given is not None:
            return given
        if self.log_logit_scale is None:
            raise ValueError(
                "there is no logit scale: give the model's with the call, or make the loss with "
                f"one that it learns, {type(self).__name__}(logit_scale=1 / 0.07)"
            )
        with torch.no_grad():
            self.log_logit_scale.clamp_(max=math.log(_LARGEST_SCALE))
        return self.log_logit_scale.exp()
