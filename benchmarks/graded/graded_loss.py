"""The base of the graded losses as modules."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from graded.grades import Gain, unit_grades
from rankfield.losses import JudgedPairs, RankingLoss

__all__ = ["GradedLoss"]


class GradedLoss(RankingLoss):
    """A graded loss over embeddings and judged pairs, as a module over a function.

    Args:
        function: (query embeddings, document embeddings, pairs, grades, logit scale) → scalar.
        gain: scores → grades, see `unit_grades`; training gives it.
        fixed_scale: the logit scale of every call, > 0, in place of the model's learnt one; that
            one then gets no gradient.
        logit_scale: as of `RankingLoss`.

    Raises:
        ValueError: a scale that is not above 0.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        *,
        gain: Gain | None,
        fixed_scale: float | None,
        logit_scale: float | None,
    ) -> None:
        super().__init__(logit_scale=logit_scale)
        if fixed_scale is not None and not fixed_scale > 0:
            raise ValueError(f"expected a fixed scale above 0, found {fixed_scale}")
        self.function, self.gain, self.fixed_scale = function, gain, fixed_scale

    def scale(self, given: Tensor | float | None) -> Tensor | float:
        """Return the fixed scale, or else as `RankingLoss`."""
        return super().scale(given) if self.fixed_scale is None else self.fixed_scale

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return the function's value."""
        return self.function(
            query_embeddings,
            document_embeddings,
            pairs,
            unit_grades(pairs.scores, self.gain),
            self.scale(logit_scale),
        )
