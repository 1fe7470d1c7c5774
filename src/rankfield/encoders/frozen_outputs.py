"""What a frozen text tower gives for each text: computed once, and kept for later runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rankfield.encoders.kept_outputs import (
    add_tensor,
    device_of,
    is_plain,
    kept_outputs,
    tower_digest,
)
from rankfield.encoders.text_batches import batch_tokens, text_batches
from rankfield.encoders.text_towers import TextTower
from rankfield.progress import progress

__all__ = ["frozen_outputs"]

_CHUNK, _BATCH = 2048, 256
_FORMAT = 2
"""To be raised when the same tower gives other bits: those of former versions are not taken."""


def frozen_outputs(tower: TextTower, texts: Sequence[str], *, disk_mib: int = 0) -> Tensor:
    """Return N × width outputs of a tower in evaluation mode, on the CPU.

    The batches depend on the texts and their order alone, so that a resumed run gets the same bits.
    In the cache an entry's name says all that the bits depend on: the tower's weights, settings and
    libraries, the device, its threads, and the tokens of the texts. Equal to the bit with and
    without; see `kept_outputs`.

    Args:
        tower: frozen.
        texts: distinct, those of similar length together.
        disk_mib: the vectors are kept in the cache, and mapped into memory, if they fit into this;
            0: never. Those of a tower whose `settings` are None are not.
    """
    settings = tower.settings()
    kept = None
    if texts and disk_mib and settings is not None and is_plain(tower):
        digest = tower_digest(
            tower, [_FORMAT, _CHUNK, _BATCH, batch_tokens(device_of(tower)), *settings]
        )
        for _, tokens in _tokens(tower, texts):
            for name, tensor in sorted(tokens.items()):
                add_tensor(digest, name, tensor)
        kept = kept_outputs(
            digest.hexdigest()[:24],
            (len(texts), tower.width),
            lambda vectors: _fill(tower, texts, vectors),
            what="text",
            disk_mib=disk_mib,
        )
    if kept is not None:
        return kept
    dtype = next((p.dtype for p in tower.parameters()), torch.float32)
    vectors = torch.empty(len(texts), tower.width, dtype=dtype)
    _fill(tower, texts, vectors)
    return vectors


def _fill(tower: TextTower, texts: Sequence[str], vectors: Tensor) -> None:
    device = device_of(tower)
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
