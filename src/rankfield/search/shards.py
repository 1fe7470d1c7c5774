"""One search by several processes or devices, each over a part of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import distributed

from rankfield.errors import DataError
from rankfield.search.exact import best_keys
from rankfield.search.hits import Hits
from rankfield.search.order import NOTHING, hits_of, packed, sort_rows
from rankfield.search.screening import full_precision

__all__ = ["merge_hits", "search_on_devices", "shard_of", "sharded_search"]


def shard_of(count: int, part: int, parts: int) -> range:
    """Return the rows of one of `parts` stretches of nearly equal length.

    Raises:
        DataError: not 0 ≤ part < parts.
    """
    if not 0 <= part < parts:
        raise DataError(f"expected a part below {parts}, found {part}", where="shard")
    return range(count * part // parts, count * (part + 1) // parts)


def merge_hits(parts: Sequence[Hits], starts: Sequence[int], k: int) -> Hits:
    """Return the k best of what was found in several shards, in the canonical order.

    Equal to the bit to one search over the joined shards, if each part holds its own k best.

    Args:
        parts: the `Hits` of each shard, for the same queries.
        starts: the row of the joined corpus at which each shard begins.
        k: how many documents a query gets; fewer where the parts hold fewer.

    Raises:
        DataError: no parts, or parts of different queries.
    """
    if not parts or len({len(part.indices) for part in parts}) != 1 or len(parts) != len(starts):
        raise DataError(
            "expected the hits of the same queries in each shard, and where it starts",
            where="merging shards",
        )
    keys = []
    for part, start in zip(parts, starts, strict=True):
        rows = torch.from_numpy(part.indices)
        key = packed(torch.from_numpy(part.similarities), rows.clamp_min(0) + start)
        keys.append(key.masked_fill(rows < 0, NOTHING))
    return hits_of(sort_rows(torch.cat(keys, dim=1), k))


def sharded_search(
    queries: npt.NDArray[np.float32] | torch.Tensor,
    documents: npt.NDArray[np.floating] | torch.Tensor,
    k: int,
    *,
    memory_mib: int = 256,
    device: str = "cpu",
    precision: str = "auto",
) -> Hits:
    """Return `exact_search` by all processes of torch.distributed, each with its part of the rows.

    Every process calls it with the same arguments (of a memory-mapped file it reads its own rows
    only) and gets the whole result, equal to the bit to that of one process. Without
    torch.distributed, one process does it all.

    Args:
        queries: as `exact_search`.
        documents: as `exact_search`; the whole corpus.
        k: as `exact_search`.
        memory_mib: of each process.
        device: of this process.
        precision: as `exact_search`.

    Raises:
        DataError: as `exact_search`, in the process that meets it; the others then fail as their
            backend does.
    """
    world = distributed.get_world_size() if _distributed() else 1
    rank = distributed.get_rank() if world > 1 else 0
    keys = best_keys(
        queries,
        documents,
        k,
        memory_mib=memory_mib,
        device=device,
        precision=precision,
        span=shard_of(len(documents), rank, world),
    )
    if world == 1:
        return hits_of(keys)
    # Shards may hold fewer than k rows, and not all alike.
    best = min(k, len(documents))
    own = torch.full((len(keys), best), NOTHING)
    own[:, : keys.shape[1]] = keys
    own = own.to("cuda" if distributed.get_backend() == "nccl" else "cpu")
    parts = [torch.empty_like(own) for _ in range(world)]
    distributed.all_gather(parts, own)
    return hits_of(sort_rows(torch.cat(parts, dim=1).cpu(), best))


def search_on_devices(
    queries: npt.NDArray[np.float32] | torch.Tensor,
    documents: npt.NDArray[np.floating] | torch.Tensor,
    k: int,
    devices: Sequence[str],
    *,
    memory_mib: int = 256,
    precision: str = "auto",
) -> Hits:
    """Return `exact_search` by several devices of one process, each with its part of the rows.

    Args:
        queries: as `exact_search`.
        documents: as `exact_search`.
        k: as `exact_search`.
        devices: for instance ["cuda:0", "cuda:1"]; one thread drives each.
        memory_mib: of each device.
        precision: as `exact_search`.

    Raises:
        DataError: as `exact_search`, or no devices.
    """

    def search(part: int) -> torch.Tensor:
        return best_keys(
            queries,
            documents,
            k,
            memory_mib=memory_mib,
            device=devices[part],
            precision=precision,
            span=shard_of(len(documents), part, len(devices)),
        )

    if not devices:
        raise DataError("expected at least one device, found none", where="search")
    with full_precision(), ThreadPoolExecutor(len(devices)) as pool:
        parts = list(pool.map(search, range(len(devices))))
    return hits_of(sort_rows(torch.cat(parts, dim=1), min(k, len(documents))))


def _distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()
