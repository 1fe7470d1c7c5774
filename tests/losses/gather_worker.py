"""One of P processes over its shares of each problem: `gather_worker.py FOLDER RANK PROCESSES`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from judged_batches import LISTWISE, LOSSES, random_batch
from rankfield.losses import (
    JudgedPairs,
    gather_shares,
    gather_with_gradient,
    matryoshka,
    tiled_contrastive_loss,
    tiled_judged_contrastive_loss,
)

__all__ = ["DISTRIBUTED", "FURTHER", "Tower", "gradients"]

TILES: dict[str, Any] = {"side": 2, "memory_mib": 2**-13}


def one_by_one(
    queries: Tensor, documents: Tensor, pairs: JudgedPairs, scale: Tensor, **keywords: Any
) -> Tensor:
    """Return the loss of pairs with a row for each."""
    of_pairs = queries[pairs.queries], documents[pairs.documents], pairs.weights
    loss: Callable[..., Tensor] = partial(tiled_contrastive_loss, **TILES, **keywords)
    return loss(*of_pairs, scale)


def several_dimensions(
    queries: Tensor, documents: Tensor, pairs: JudgedPairs, scale: Tensor, **keywords: Any
) -> Tensor:
    """Return Matryoshka terms of a loss."""

    def loss(q: Tensor, d: Tensor) -> Tensor:
        return tiled_judged_contrastive_loss(q, d, pairs, scale, **TILES, **keywords)

    return matryoshka(loss, queries, documents, [3, 2])


FURTHER: dict[str, Callable[..., Tensor]] = {
    "pair": one_by_one,
    "pair query_to_document": partial(one_by_one, direction="query_to_document"),
    "several dimensions": several_dimensions,
}
"""Losses beside those of `LOSSES`."""

DISTRIBUTED: dict[str, Callable[..., Tensor]] = {
    f"distributed {name}": partial(loss, distributed=True)
    for name, loss in (FURTHER | {one: fast for one, (fast, _) in LOSSES.items()}).items()
    if name in FURTHER or name.startswith("tiled") or name in LISTWISE
}
"""Losses whose work two processes share."""


class Tower(nn.Module):
    """Encodes queries and documents alike, and holds the logit scale."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 4).double()
        self.logit_scale = nn.Parameter(torch.tensor(1.5).double())

    def forward(self, queries: Tensor, documents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return both sides' unit embeddings and the scale."""
        queries, documents = (F.normalize(self.layer(x), dim=-1) for x in (queries, documents))
        return queries, documents, self.logit_scale.exp()


def gradients(value: Tensor, tower: nn.Module) -> list[Tensor]:
    """Return the value and the gradient of each parameter after going backward."""
    tower.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]
    found = [x.grad.clone() for x in tower.parameters() if x.grad is not None]
    return [value.detach(), *found]


def share(rows: Tensor, rank: int, processes: int) -> Tensor:
    """Return rows r, r + P, …, padded to one length with what must not matter."""
    own = rows[rank::processes]
    missing = -(-len(rows) // processes) - len(own)
    return torch.cat([own, torch.full((missing, rows.shape[1]), 1e3, dtype=rows.dtype)])


def shared_gradient(rank: int) -> list[Tensor]:
    """The gradients of a gathered tensor and of one that gets the same gradient from a sum.

    The gathered one is not contiguous.
    """
    local = torch.full((2, 3), float(rank)).T.requires_grad_()
    other = torch.zeros(6, 2, requires_grad=True)
    # Made before the gathering, so that its backward comes after that of the gathering; and the
    # gradient of the product is a full tensor, which the sum hands to both.
    doubled = 2 * other
    gathered = gather_with_gradient(local)
    ((gathered + doubled) * torch.ones(6, 2)).sum().backward()  # type: ignore[no-untyped-call]
    assert local.grad is not None
    assert other.grad is not None
    return [gathered.detach(), local.grad, other.grad]


def products(loss: Callable[..., Tensor], size: int) -> float:
    """Return how many floating-point operations forward and backward of a batch take."""
    batch = random_batch(size, size, "single", width=16)
    leaves = [x.clone().requires_grad_() for x in (batch.queries, batch.documents)]
    with FlopCounterMode(display=False) as counted:
        loss(*leaves, batch.pairs, torch.tensor(2.0)).backward()  # type: ignore[no-untyped-call]
    return float(counted.get_total_flops())


def main(folder: Path, rank: int, processes: int) -> None:
    """Write each problem's loss and gradients to FOLDER/RANK.pt."""
    rendezvous = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=processes)
    state, problems = torch.load(folder / "problems.pt", weights_only=True)
    tower = Tower()
    tower.load_state_dict(state)
    model = nn.parallel.DistributedDataParallel(tower)
    found = {"shared gradient": shared_gradient(rank)}
    names = [name for name in DISTRIBUTED if name.startswith("distributed tiled")]
    found["work"] = [torch.tensor([products(DISTRIBUTED[name], 16) for name in names])]
    alone = [products(LOSSES[name.removeprefix("distributed ")][0], 16) for name in names]
    found["work of one"] = [torch.tensor(alone)]
    for name, (of_queries, of_documents, *pairs) in problems.items():
        shares = (share(x, rank, processes) for x in (of_queries, of_documents))
        queries, documents, scale = model(*shares)
        queries = gather_shares(queries, len(of_queries))
        documents = gather_shares(documents, len(of_documents))
        loss = DISTRIBUTED.get(name.split(":")[0]) or LOSSES[name.split(":")[0]][0]
        value = loss(queries, documents, JudgedPairs(*pairs), scale)
        found[name] = gradients(value, tower)
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
