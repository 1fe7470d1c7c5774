"""The moving average of a model's weights over the steps of its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from rankfield.settings import Settings

__all__ = ["AverageSection", "WeightAverage"]


class AverageSection(Settings):
    """Averages of weights: over the steps, and between the base model and the trained one."""

    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of the moving average over steps; 0: none"
    )
    wise: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [], description="shares of the trained model to try after training; the best on dev is kept"
    )


class WeightAverage:
    """θ̄ ← d · θ̄ + (1 − d) · θ after each step, with d = min(decay, (1 + t) / (10 + t)).

    t counts the steps from 0, so that the untrained weights soon lose their influence. The average
    covers all floating-point weights that train and all floating-point buffers, such as the
    statistics of batch norm, each in its own dtype. θ̄ starts as the weights at construction.
    (Polyak and Juditsky, SIAM J. Control Optim. 30, 1992; warm-up as in TensorFlow's.)

    Args:
        model: the weights to follow; those without gradient never change and are left out.
        decay: 0 ≤ decay < 1.

    Raises:
        ValueError: a decay outside of that.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"expected a decay of at least 0 and below 1, found {decay}")
        self.decay = decay
        self._followed: dict[str, Tensor] = {
            name: tensor
            for name, tensor in (*model.named_parameters(), *model.named_buffers())
            if tensor.is_floating_point()
            and (tensor.requires_grad or not isinstance(tensor, nn.Parameter))
        }
        self._averages = {name: t.detach().clone() for name, t in self._followed.items()}

    def update(self, step: int) -> None:
        """Add the weights after `step` (from 0)."""
        rate = 1.0 - min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, average in self._averages.items():
                average.lerp_(self._followed[name].detach(), rate)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averages while the context lasts; then it has its own tensors back."""
        own = {name: tensor.data for name, tensor in self._followed.items()}
        try:
            for name, tensor in self._followed.items():
                tensor.data = self._averages[name]
            yield
        finally:
            for name, tensor in self._followed.items():
                tensor.data = own[name]

    def state(self) -> dict[str, Tensor]:
        """Return name → average, for a checkpoint."""
        return {name: average.contiguous() for name, average in self._averages.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Load averages that `state` returned.

        Raises:
            ValueError: of another model.
        """
        if state.keys() != self._averages.keys():
            other = sorted(state.keys() ^ self._averages.keys())[0]
            raise ValueError(f"the averages are of another model: {other} is not in both")
        for name, average in self._averages.items():
            average.copy_(state[name])
