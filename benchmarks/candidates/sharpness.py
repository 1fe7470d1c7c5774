"""Sharpness-aware minimisation: steps by the gradient at the worst weights near by.

    with sharpness_aware(0.05):
        train(recipe, dataset, out)

After Foret et al. (arXiv 2010.01412, Algorithm 1): with the gradient g of a step's loss at the
weights θ, the weights are changed by the gradient at θ + ρ · g / ‖g‖ in place of g. Both are of the
same batch and the same dropout. A step costs twice as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from rankfield.training import trainer
from rankfield.training.batches import TrainingBatch
from rankfield.training.step import TrainingStep

__all__ = ["SharpnessAwareStep", "sharpness_aware"]


class SharpnessAwareStep(TrainingStep):
    """A training step with ρ = `rho`; batch norm counts each batch twice.

    Raises:
        ValueError: fp16, whose gradients are scaled, or a sharded model.
    """

    rho = 0.05

    def __call__(self, number: int, batch: TrainingBatch) -> dict[str, float]:
        """Make the step and return its figures; the loss is that before the climb."""
        if self.sharded or self.accelerator.scaler is not None:
            raise ValueError("sharpness-aware steps take no sharded model and no fp16")
        self._current = (number, batch)
        return super().__call__(number, batch)

    def _update(self, loss: Tensor) -> float:
        self.accelerator.backward(loss)
        before = self._climb()
        self.optimizer.zero_grad(set_to_none=True)

        def descend(*_: Any) -> None:
            with torch.no_grad():
                for parameter, weights in before:
                    parameter.copy_(weights)

        # The optimiser starts from the weights before the climb.
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        hook = optimizer.register_step_pre_hook(descend)
        try:
            return super()._update(self._loss(*self._current))
        finally:
            hook.remove()

    @torch.no_grad()
    def _climb(self) -> list[tuple[Tensor, Tensor]]:
        """Move the weights by ρ · g / ‖g‖ and return those that moved, each as it was."""
        moving = [(p, p.grad) for p in self.model.parameters() if p.grad is not None]
        norm = torch.stack([gradient.norm() for _, gradient in moving]).norm()
        before: list[tuple[Tensor, Tensor]] = [
            (parameter, parameter.clone()) for parameter, _ in moving
        ]
        for parameter, gradient in moving:
            parameter.add_(gradient * (self.rho / (norm + 1e-12)))
        return before

    def _loss(self, number: int, batch: TrainingBatch) -> Tensor:
        """Return the loss of the batch at the present weights, with the step's random numbers."""
        device = self.accelerator.device
        torch.manual_seed(batch.seed)
        torch.set_rng_state(batch.random_state.clone())
        queries, documents = (batch.inputs[side].to(device) for side in ("query", "document"))
        encoded = self._encoded(number, queries, documents)
        return self.objective(self._gathered(encoded, batch), batch.pairs.to(device))


@contextmanager
def sharpness_aware(rho: float) -> Iterator[None]:
    """Let `train` take sharpness-aware steps while the context lasts; ρ = 0 changes nothing.

    Raises:
        ValueError: a negative ρ.
    """
    if not rho >= 0.0:
        raise ValueError(f"expected a ρ of at least 0, found {rho}")
    step = type("Step", (SharpnessAwareStep,), {"rho": rho}) if rho else TrainingStep
    with patch.object(trainer, "TrainingStep", step):
        yield
