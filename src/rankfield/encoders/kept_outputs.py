"""Vectors of a frozen tower in a file of the cache, named after all that their bits depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rankfield.cache_folder import cache_entry
from rankfield.errors import OutputError
from rankfield.terminal import echo

__all__ = ["add_tensor", "device_of", "is_plain", "kept_outputs", "tower_digest"]

_FILE = "vectors.npy"
_KEPT = 8
_LIBRARIES = ("torch", "transformers", "sentence-transformers")


def kept_outputs(
    name: str, shape: tuple[int, int], fill: Callable[[Tensor], None], *, what: str, disk_mib: int
) -> Tensor | None:
    """Return N × width vectors of the cache, memory-mapped.

    Of all such entries the eight used last are kept. None, with a note: they do not fit, or the
    cache cannot be written.

    Args:
        name: of `tower_digest`, with the input.
        shape: N × width.
        fill: writes the vectors, float32, if the cache lacks them.
        what: whose they are, and `data.{what}_disk_cache_mib` is the limit: "text" or "vision".
        disk_mib: what they may take.
    """
    mib = -(-4 * shape[0] * shape[1] // 2**20)
    vectors = f"note: vectors of the frozen {what} tower"
    if mib > disk_mib:
        limit = f"data.{what}_disk_cache_mib = {disk_mib:,}"
        echo(f"{vectors} take {mib:,} MiB and are not kept: {limit}.", err=True)
        return None

    def write(folder: Path) -> None:
        kept = np.lib.format.open_memmap(folder / _FILE, mode="w+", dtype=np.float32, shape=shape)
        fill(torch.from_numpy(kept))
        kept.flush()

    try:
        entry = cache_entry(f"frozen-{name}", write, siblings=("frozen-", _KEPT), temporary=False)
    except OutputError as error:
        echo(f"{vectors} are not kept: {error}", err=True)
        return None
    # "c": torch takes only arrays that can be written, and nothing of it reaches the file.
    return torch.from_numpy(np.load(entry.file(_FILE), mmap_mode="c", allow_pickle=False))


def tower_digest(tower: nn.Module, said: Sequence[Any]) -> Any:
    """Return the hash of a tower's weights, its device, threads and libraries, to be added to.

    Args:
        tower: whose outputs are kept.
        said: its settings, and how its input is put into batches.
    """
    device = device_of(tower)
    settings = [
        *(list(said), [_version(name) for name in _LIBRARIES]),
        *(device.type, _processor(device), torch.get_float32_matmul_precision()),
        *(torch.is_autocast_enabled(device.type), str(torch.get_autocast_dtype(device.type))),
    ]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for name, tensor in chain(tower.named_parameters(), tower.named_buffers()):
        add_tensor(digest, name, tensor)
    return digest


def add_tensor(digest: Any, name: str, tensor: Tensor) -> None:
    """Add a tensor to a hash: its name, type, shape and bytes."""
    digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def device_of(tower: nn.Module) -> torch.device:
    """Return where the weights of a tower are; the CPU if it has none."""
    return next((p.device for p in tower.parameters()), torch.device("cpu"))


def is_plain(tower: nn.Module) -> bool:
    """Return whether all weights are float32, as the kept vectors are."""
    return all(p.dtype == torch.float32 for p in tower.parameters())


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.backends.cpu.get_cpu_capability()} {torch.get_num_threads()}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
