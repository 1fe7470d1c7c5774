"""Weights, gradients and optimiser state shared among the processes of a run: FSDP2.

Zhao et al., PyTorch FSDP, arXiv 2304.11277; ZeRO, Rajbhandari et al., arXiv 1910.02054.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from rankfield.encoders import RankingModel
from rankfield.encoders.micro_batches import batch_norms
from rankfield.errors import RecipeError
from rankfield.training.average import WeightAverage
from rankfield.training.recipe import Recipe
from rankfield.training.shards import full_tensor

__all__ = ["WholeModel", "check_sharding"]


def check_sharding(recipe: Recipe, model: RankingModel) -> None:
    """Refuse what does not go together with `fsdp`.

    Raises:
        RecipeError: adapters, layers that join in later, fp16, or batch norm.
    """
    if not recipe.fsdp:
        return
    refused = {
        "lora.rank": bool(recipe.lora.rank),
        "optimizer.unfreeze_over": bool(recipe.optimizer.unfreeze_over),
        "precision": recipe.precision == "fp16",
        "encoder": bool(batch_norms(model.encoder)),
    }
    reasons = {
        "lora.rank": "adapters leave little to share",
        "optimizer.unfreeze_over": "which weights train must not change with the steps",
        "precision": "fp16 needs a scale of the loss; take bf16",
        "encoder": "the statistics of batch norm would differ between the processes",
    }
    for key, found in refused.items():
        if found:
            raise RecipeError(
                f"does not go together with fsdp: {reasons[key]}",
                where=f"recipe, {key}",
                remedy="Leave one of both out.",
            )


class WholeModel:
    """The model of a run as one process can use it: itself, or a copy that gathers its shards.

    Sharded, each process keeps 1 / P of every weight, and so of its gradient and of what the
    optimiser knows of it. A step gathers the weights before its forward pass, and scatters their
    gradients after its backward pass. The logit scale and bias, which are single numbers, are not
    sharded. Make the optimiser afterwards: sharding replaces the weights.

    Args:
        model: is sharded in place.
        accelerator: accelerate's.
        sharded: whether it is; only with several processes.
    """

    def __init__(self, model: RankingModel, accelerator: Any, *, sharded: bool) -> None:
        self.sharded = sharded and accelerator.num_processes > 1
        self._model, self._accelerator = model, accelerator
        self._copy: RankingModel | None = None
        if self.sharded:
            if accelerator.is_main_process:
                self._copy = copy.deepcopy(model).to("cpu")
            _shard(model, accelerator)

    @contextmanager
    def current(self, average: WeightAverage | None = None) -> Iterator[RankingModel]:
        """Yield the model with its weights of now, or with their averages.

        Sharded, all processes must enter, and only the main process gets a model that it can use;
        what is done to its weights does not reach the training.
        """
        if not self.sharded:
            with average.applied() if average is not None else nullcontext():
                yield self._model
            return
        self._gather(average)
        if self._copy is None:
            yield self._model
            return
        try:
            yield self._copy.to(self._accelerator.device)
        finally:
            self._copy.to("cpu")

    def _gather(self, average: WeightAverage | None) -> None:
        """Copy the weights to the main process, one after the other."""
        tensors = self._model.state_dict()
        if average is not None:
            tensors |= average.state()
        targets = {} if self._copy is None else self._copy.state_dict()
        for name, tensor in tensors.items():
            whole = full_tensor(tensor)
            if name in targets:
                targets[name].copy_(whole)


def _shard(model: RankingModel, accelerator: Any) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    single = {p for p in model.parameters() if p.ndim == 0}  # FSDP shards no single numbers
    # One group: processes encode different numbers of micro-batches, and layers that gather their
    # weights at each would wait for each other for ever.
    fully_shard(model, mesh=mesh, reshard_after_forward=False, ignored_params=single)
