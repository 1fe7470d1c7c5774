"""Texts in batches of few tokens, and of texts of similar length: little is padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["CPU_TOKENS", "batch_tokens", "row_batches", "text_batches"]

CPU_TOKENS = 1024
"""Tokens of a batch on a CPU: what MiniLM's layers make of them still fits its cache.

`benchmarks/embedding.py` measures it; 256 tokens are 14 % slower, 8,192 a quarter.
"""
_CALL_TOKENS = 64
"""What a batch costs on a CPU beside its tokens, in tokens: measured of MiniLM.

Embedded 19 in float32 and 46 in bfloat16, trained 29 and 86.
"""


def batch_tokens(device: torch.device) -> int | None:
    """Return how many tokens a batch that is only embedded should have; None: any number."""
    return CPU_TOKENS if device.type == "cpu" else None


def row_batches(
    items: Mapping[str, Tensor], size: int
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
    """Yield (rows, their items) of each batch of `size` rows, in their order."""
    count = len(next(iter(items.values())))
    for start in range(0, count, size):
        rows = np.arange(start, min(start + size, count))
        yield rows, {name: item[start : start + size] for name, item in items.items()}


def text_batches(
    items: Mapping[str, Tensor], size: int, tokens: int | None, *, unpadded: bool = False
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
    """Yield (rows, their items) until each of the N texts was in one batch, shortest texts first.

    Where the items have an `attention_mask` that pads on one side, a batch is cut to the tokens of
    its longest text; else the batches keep the order and the padding. On a CPU, with a number of
    tokens given, batches are those of which calls and tokens, padding included, cost least;
    elsewhere each is as large as it may be.

    Args:
        items: N × L token ids and what else a tokenizer gives.
        size: texts of a batch, at most.
        tokens: of a batch, padding included, at most; a longer text is a batch of its own. None:
            any number.
        unpadded: whether padding costs nothing but attention: `tokens` are those without it, and
            with it twice as many.
    """
    mask = items.get("attention_mask")
    right = mask is not None and bool(mask[:, 0].all())
    if mask is None or not (right or bool(mask[:, -1].all())):
        yield from row_batches(items, size)
        return
    lengths = mask.sum(1).cpu().numpy()
    order = np.argsort(lengths, kind="stable")
    lengths, start = lengths[order], 0
    if unpadded or tokens is None or mask.device.type != "cpu":
        stops = _largest(lengths, size, tokens, unpadded=unpadded)
    else:
        stops = _cheapest(lengths, size, tokens)
    for stop in stops:
        rows = order[start:stop]
        longest = int(lengths[stop - 1])
        columns = slice(0, longest) if right else slice(mask.shape[1] - longest, None)
        index = torch.from_numpy(rows).to(mask.device)
        yield (
            rows,
            {
                name: item[index, columns] if item.shape == mask.shape else item[index]
                for name, item in items.items()
            },
        )
        start = stop


def _largest(
    lengths: NDArray[np.int64], size: int, tokens: int | None, *, unpadded: bool
) -> list[int]:
    """Return where batches end that each take what they may; the lengths ascend."""
    stops = [0]
    while stops[-1] < len(lengths):
        start = stops[-1]
        stop = min(start + size, len(lengths))
        if tokens is not None:
            padded = lengths[start:stop] * np.arange(1, stop - start + 1)
            if unpadded:
                padded = np.maximum(lengths[start:stop].cumsum(), padded // 2)
            stop = start + max(1, int(np.searchsorted(padded, tokens, side="right")))
        stops.append(stop)
    return stops[1:]


def _cheapest(lengths: NDArray[np.int64], size: int, tokens: int) -> list[int]:
    """Return where batches end that together cost least; the lengths ascend.

    By dynamic programming: the best batches of the first n texts are those of the first m < n, and
    one batch of the rest.
    """
    count = len(lengths)
    costs, begins = np.zeros(count + 1, dtype=np.int64), np.zeros(count + 1, dtype=np.int64)
    texts = np.arange(count, 0, -1)
    for stop in range(1, count + 1):
        longest = max(1, int(lengths[stop - 1]))
        first = max(0, stop - min(size, max(1, tokens // longest)))
        found = costs[first:stop] + longest * texts[first - stop :]
        best = int(found.argmin())
        costs[stop], begins[stop] = found[best] + _CALL_TOKENS, first + best
    stops = []
    while count:
        stops.append(count)
        count = int(begins[count])
    return stops[::-1]
