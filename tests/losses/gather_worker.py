"""One of P processes over its shares of each problem: `gather_worker.py FOLDER RANK PROCESSES`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from judged_batches import LOSSES
from rankfield.losses import JudgedPairs, gather_shares, gather_with_gradient

__all__ = ["Tower", "gradients"]


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


def main(folder: Path, rank: int, processes: int) -> None:
    """Write each problem's loss and gradients to FOLDER/RANK.pt."""
    rendezvous = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=processes)
    state, problems = torch.load(folder / "problems.pt", weights_only=True)
    tower = Tower()
    tower.load_state_dict(state)
    model = nn.parallel.DistributedDataParallel(tower)
    found = {"shared gradient": shared_gradient(rank)}
    for name, (of_queries, of_documents, *pairs) in problems.items():
        shares = (share(x, rank, processes) for x in (of_queries, of_documents))
        queries, documents, scale = model(*shares)
        queries = gather_shares(queries, len(of_queries))
        documents = gather_shares(documents, len(of_documents))
        loss = LOSSES[name.split(":")[0]][0](queries, documents, JudgedPairs(*pairs), scale)
        found[name] = gradients(loss, tower)
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
