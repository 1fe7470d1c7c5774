"""One step: encode a batch, compute its loss, update the weights."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.encoded import Encoded
from rankfield.encoders.fusion import FieldBatch
from rankfield.encoders.precision import computing_in
from rankfield.errors import RecipeError
from rankfield.losses import gather_shares
from rankfield.schema import ScoreScale
from rankfield.training.batches import TrainingBatch
from rankfield.training.micro_batching import micro_batches
from rankfield.training.objective import Objective
from rankfield.training.optimizer import set_learning_rates
from rankfield.training.precheck import single_image_error
from rankfield.training.recipe import Recipe
from rankfield.training.shards import clip_gradients, touched, unsharded

__all__ = ["TrainingStep"]


class TrainingStep:
    """Step number and batch → updated weights.

    Args:
        recipe: of the run.
        model: what is trained.
        optimizer: of `make_optimizer`.
        scale: of the scores.
        accelerator: accelerate's; it wraps model and optimizer.
        precision: "bfloat16" to compute the encoders in it, of a recipe of precision "auto".
        sharded: whether `WholeModel` has sharded the model.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: RankingModel,
        optimizer: torch.optim.Optimizer,
        *,
        scale: ScoreScale,
        accelerator: Any,
        precision: str = "",
        sharded: bool = False,
    ) -> None:
        self.recipe, self.model = recipe, model
        self.accelerator, self.precision = accelerator, precision
        self.objective = Objective(recipe.loss, scale, distributed=accelerator.num_processes > 1)
        self._chooses = True
        self.sharded = sharded
        if sharded:  # what accelerate would wrap is there already
            self.wrapped, self.optimizer = model, optimizer
        else:
            self.wrapped, self.optimizer = accelerator.prepare(model, optimizer)

    def __call__(self, number: int, batch: TrainingBatch) -> dict[str, float]:
        """Make step `number` (from 0) with a batch and return its figures for the log.

        Raises:
            RecipeError: the loss is not finite, or the batch is too small for batch norm.
        """
        device = self.accelerator.device
        queries, documents = (batch.inputs[side].to(device) for side in ("query", "document"))
        if self._chooses:
            with (
                unsharded(self.model),
                self.accelerator.autocast(),
                computing_in(self.precision, device),
            ):
                chosen = micro_batches(self.recipe.batch, self.model, (queries, documents))
            self.model.micro_batches, self._chooses = chosen, False
        # Dropout depends on the seed and the step alone: nothing to save.
        torch.manual_seed(batch.seed)
        # A clone: of a view, torch reads the storage from its start.
        torch.set_rng_state(batch.random_state.clone())
        set_learning_rates(self.optimizer, number, self.recipe.optimizer)
        encoded = self._encoded(number, queries, documents)
        loss = self.objective(self._gathered(encoded, batch), batch.pairs.to(device))
        value = loss.item()
        if not math.isfinite(value):
            raise RecipeError(
                f"the loss is {value} at step {number}",
                where="recipe, optimizer.learning_rate",
                remedy="Lower it, warm up longer, or train in fp32.",
            )
        norm = self._update(loss)
        return {
            "loss": value,
            "gradient_norm": norm,
            "logit_scale": encoded.logit_scale.item(),
            "queries": batch.queries,
            "documents": batch.documents,
            "pairs": len(batch.pairs.judged),
        }

    def _update(self, loss: torch.Tensor) -> float:
        """Change the weights and return the norm of the gradient."""
        self.accelerator.backward(loss)
        largest = self.recipe.optimizer.clip_norm
        if self.sharded:
            norm = clip_gradients(self.model, largest)
        else:
            norm = self.accelerator.clip_grad_norm_(self.model.parameters(), largest)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.log_logit_scale.clamp_(max=math.log(self.recipe.loss.max_logit_scale))
        return float(norm.item())

    def _encoded(self, number: int, queries: FieldBatch, documents: FieldBatch) -> Encoded:
        try:
            # Accelerate's own wrapper of a model has its autocast.
            autocast = self.accelerator.autocast() if self.sharded else nullcontext()
            with autocast, computing_in(self.precision, self.accelerator.device):
                encoded: Encoded = self.wrapped(queries, documents)
            if self.sharded:
                encoded = encoded._replace(queries=encoded.queries + touched(self.model))
        except ValueError as error:
            refused = single_image_error(error, number)  # field dropout may leave one
            if refused is None:
                raise
            raise refused from error
        return encoded

    def _gathered(self, encoded: Encoded, batch: TrainingBatch) -> Encoded:
        """Return the embeddings of all processes, which share the work of the global batch's loss.

        Its gradient for a process's own rows, summed over the processes, is P times the global
        one, which averaging over them takes back.
        """
        parts = {}
        if self.recipe.loss.per_field:
            for field in self.model.document_fields:
                # All processes must take part in the gather, backwards too.
                part = encoded.parts.get(field.name, 0.0 * encoded.documents)
                parts[field.name] = gather_shares(part, batch.documents)
        return encoded._replace(
            queries=gather_shares(encoded.queries, batch.queries),
            documents=gather_shares(encoded.documents, batch.documents),
            parts=parts,
        )
