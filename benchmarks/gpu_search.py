"""Exact search on a GPU, for gpu.py: beside a plain product and topk, and beside the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gpu_timing import measured, ratio
from rankfield.search import exact_search

__all__ = ["searches"]

K, TILE = 100, 65536
OURS, FLOAT32 = "rankfield, exact", "product and topk, float32"


def searches(small: bool, device: str) -> list[dict[str, Any]]:
    """Return the time of each way, and whether the device finds what the CPU finds."""
    sizes = (50, 5000, 64) if small else (20_000, 5_000_000, 512)
    queries, documents = (unit(rows, sizes[2], seed, device) for seed, rows in enumerate(sizes[:2]))
    memory = 64 if small else 16384
    arms: dict[str, Callable[[], Any]] = {
        OURS: partial(exact_search, queries, documents, K, memory_mib=memory, device=device),
        FLOAT32: partial(plain, queries, documents),
        "product and topk, bf16": partial(plain, queries.bfloat16(), documents.bfloat16()),
    }
    found = measured(arms, device, rounds=2)
    for peer in list(arms)[1:]:
        found[OURS][f"× {peer}"] = ratio(found, OURS, peer)
    few = documents[: 5000 if small else 100_000].cpu(), queries[:100].cpu()
    here, there = (
        exact_search(few[1].to(at), few[0].to(at), K, device=at) for at in ("cpu", device)
    )
    same = (here.indices == there.indices).all() and (here.similarities == there.similarities).all()
    shape = dict(zip(("queries", "documents", "dimensions"), sizes, strict=True))
    return [shape, *found.values(), {"equal to the CPU, to the bit": bool(same)}]


def unit(rows: int, width: int, seed: int, device: str) -> Tensor:
    """Return random unit rows."""
    g = torch.Generator(device).manual_seed(seed)
    return F.normalize(torch.randn(rows, width, generator=g, device=device), dim=-1)


def plain(queries: Tensor, documents: Tensor) -> Tensor:
    """Return the best K of each query by products of tiles of documents."""
    best: Tensor | None = None
    index: Tensor | None = None
    for start in range(0, len(documents), TILE):
        some = documents[start : start + TILE]
        scores, places = (queries @ some.T).topk(min(K, len(some)), dim=1)
        places = places + start
        if best is not None and index is not None:
            scores, places = torch.cat([best, scores], 1), torch.cat([index, places], 1)
            scores, chosen = scores.topk(K, dim=1)
            places = places.gather(1, chosen)
        best, index = scores, places
    assert index is not None
    return index
