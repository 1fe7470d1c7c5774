"""What a frozen text tower gives for each text: computed once, and kept for later runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rankfield.cache_folder import cache_entry
from rankfield.encoders.text_batches import batch_tokens, text_batches
from rankfield.encoders.towers import TextTower
from rankfield.errors import OutputError
from rankfield.progress import progress
from rankfield.terminal import echo

__all__ = ["frozen_outputs"]

_FILE = "vectors.npy"
_CHUNK, _BATCH = 2048, 256
_KEPT = 8
_FORMAT = 1
"""To be raised when the same tower gives other bits: those of former versions are not taken."""
_LIBRARIES = ("torch", "transformers", "sentence-transformers")


def frozen_outputs(tower: TextTower, texts: Sequence[str], *, disk_mib: int = 0) -> Tensor:
    """Return N × width outputs of a tower in evaluation mode, on the CPU.

    The batches depend on the texts and their order alone, so that a resumed run gets the same bits.
    In the cache an entry's name says all that the bits depend on: the tower's weights, settings and
    libraries, the device, its threads, and the tokens of the texts. Equal to the bit with and
    without; the eight entries used last are kept.

    Args:
        tower: frozen.
        texts: distinct, those of similar length together.
        disk_mib: the vectors are kept in the cache, and mapped into memory, if they fit into this;
            0: never. Those of a tower whose `settings` are None are not.
    """
    size = 4 * len(texts) * tower.width
    settings = tower.settings()
    plain = all(p.dtype == torch.float32 for p in tower.parameters())
    if not texts or not disk_mib or settings is None or not plain:
        return _computed(tower, texts)
    if size > disk_mib * 2**20:
        echo(
            f"note: vectors of the frozen text tower take {-(-size // 2**20):,} MiB and are not "
            f"kept: data.text_disk_cache_mib = {disk_mib:,}.",
            err=True,
        )
        return _computed(tower, texts)
    name = f"frozen-{_key(tower, texts, settings)}"

    def write(folder: Path) -> None:
        shape = (len(texts), tower.width)
        kept = np.lib.format.open_memmap(folder / _FILE, mode="w+", dtype=np.float32, shape=shape)
        _fill(tower, texts, torch.from_numpy(kept))
        kept.flush()

    try:
        entry = cache_entry(name, write, siblings=("frozen-", _KEPT), temporary=False)
    except OutputError as error:
        echo(f"note: vectors of the frozen text tower are not kept: {error}", err=True)
        return _computed(tower, texts)
    # "c": torch takes only arrays that can be written, and nothing of it reaches the file.
    return torch.from_numpy(np.load(entry.file(_FILE), mmap_mode="c", allow_pickle=False))


def _computed(tower: TextTower, texts: Sequence[str]) -> Tensor:
    dtype = next((p.dtype for p in tower.parameters()), torch.float32)
    vectors = torch.empty(len(texts), tower.width, dtype=dtype)
    _fill(tower, texts, vectors)
    return vectors


def _fill(tower: TextTower, texts: Sequence[str], vectors: Tensor) -> None:
    device = _device(tower)
    with torch.no_grad(), progress("frozen text tower", len(texts), unit="texts") as advance:
        for start, tokens in _tokens(tower, texts):
            for rows, items in text_batches(tokens, _BATCH, batch_tokens(device)):
                found = tower({k: v.to(device) for k, v in items.items()}).cpu()
                vectors[torch.from_numpy(rows) + start] = found.to(vectors.dtype)
                advance(len(rows))


def _tokens(tower: TextTower, texts: Sequence[str]) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield (place of the first text, tokens) of each chunk."""
    for start in range(0, len(texts), _CHUNK):
        yield start, tower.tokenize(texts[start : start + _CHUNK])


def _device(tower: TextTower) -> torch.device:
    return next((p.device for p in tower.parameters()), torch.device("cpu"))


def _key(tower: TextTower, texts: Sequence[str], settings: Sequence[Any]) -> str:
    device = _device(tower)
    said = [
        *(_FORMAT, _CHUNK, _BATCH, batch_tokens(device), list(settings)),
        [_version(name) for name in _LIBRARIES],
        *(device.type, _processor(device), torch.get_float32_matmul_precision()),
        *(torch.is_autocast_enabled(device.type), str(torch.get_autocast_dtype(device.type))),
    ]
    digest = hashlib.sha256(json.dumps(said).encode())
    for name, tensor in chain(tower.named_parameters(), tower.named_buffers()):
        _add(digest, name, tensor)
    for _, tokens in _tokens(tower, texts):
        for name, tensor in sorted(tokens.items()):
            _add(digest, name, tensor)
    return digest.hexdigest()[:24]


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.backends.cpu.get_cpu_capability()} {torch.get_num_threads()}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _add(digest: Any, name: str, tensor: Tensor) -> None:
    digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
