"""What the ranking model makes of a batch."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["Encoded"]


class Encoded(NamedTuple):
    """A batch's embeddings and the loss's learnt numbers.

    queries: m × D unit embeddings.
    documents: n × D unit embeddings.
    logit_scale: s = exp(t), a scalar.
    bias: of the sigmoid form, a scalar; 0 where there is none.
    parts: document field → n × D unit embeddings of that field alone, zero rows where absent.
    """

    queries: Tensor
    documents: Tensor
    logit_scale: Tensor
    bias: Tensor
    parts: dict[str, Tensor]
