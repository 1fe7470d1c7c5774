"""Checkpoints of a sharded training: each process writes its part, any number reads them again.

By torch.distributed.checkpoint, in safetensors: no pickle.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rankfield.messages import first_line
from rankfield.training.average import WeightAverage
from rankfield.training.checkpoint import Progress, does_not_load, read_progress

__all__ = ["SHARDS", "load_sharded_checkpoint", "save_shards", "shards_of"]

SHARDS = "shards"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def shards_of(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage | None
) -> dict[str, Tensor]:
    """Return name → this process's part of weights, optimiser state and averages.

    A weight without a state yet gets that of a weight before its first step. Names do not depend
    on the number of processes.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            state = optimizer.state[parameter]
            if not state:
                state |= {key: torch.zeros_like(parameter.detach()) for key in _MOMENTS[1:]}
                state["step"] = torch.zeros((), device=parameter.device)
            tensors |= {f"optimizer.{name}.{key}": state[key] for key in _MOMENTS}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state().items()}
    return tensors


def save_shards(tensors: dict[str, Tensor], folder: Path, *, several: bool) -> None:
    """Write this process's parts into a folder that all processes share; all must call it.

    Raises:
        OSError: a process could not write its part.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder / SHARDS), save_distributed=True)
    try:
        with _of_one_process():
            save(tensors, storage_writer=writer, no_dist=not several)
    except CheckpointException as error:
        raise OSError(f"a process could not write its part ({_reason(error)})") from error


def load_sharded_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    expected: Progress,
    average: WeightAverage | None,
    *,
    several: bool,
) -> Progress:
    """Read a checkpoint as `load_checkpoint` does, each process its parts; all must call it.

    Raises:
        ModelError: as `load_checkpoint`.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    progress = read_progress(folder, expected)
    reader = HuggingFaceStorageReader(str(folder / SHARDS))
    tensors: dict[str, Any] = {**shards_of(model, optimizer, average)}
    try:
        with _of_one_process():
            load(tensors, storage_reader=reader, no_dist=not several)
    except CheckpointException as error:
        raise does_not_load(folder, _reason(error)) from error
    return progress


@contextmanager
def _of_one_process() -> Iterator[None]:
    """Hide the warning that there is one process only, which is what was asked for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


def _reason(error: Any) -> str:
    return next((first_line(failure) for failure, _ in error.failures.values()), "unknown")
