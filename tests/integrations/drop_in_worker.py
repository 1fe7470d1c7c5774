"""One of P processes over its share of a batch: `drop_in_worker.py FOLDER RANK PROCESSES`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from rankfield.integrations.sentence_transformers import GradedLoss
from tiny_sentence_transformer import tiny_sentence_transformer

__all__ = ["KINDS", "SHARES", "gradients"]

SHARES = [
    [("red", "large red ball", 3.0), ("red", "red box", 1.0), ("lamp", "blue mug", 2.0)],
    [
        ("red", "nice mug", 2.0),
        ("lamp", "red box", 1.0),
        ("lamp", "large cheap lamp", 3.0),
        ("blue gift", "blue mug", 1.0),
    ],
]
"""Rows of each process: texts of both, and another number of them."""

KINDS: dict[str, dict[str, Any]] = {
    "ranked": {"weight": "discount"},
    "mini-batches": {"weight": "linear", "mini_batch_size": 2},
    "learnt": {"name": "sigmoid", "learn_scale": True},
    "pairs": {"name": "contrastive", "weight": "linear"},
}


def gradients(model: Any, wrapped: Any, rows: Any, **settings: Any) -> list[torch.Tensor]:
    """Return the loss, the gradient of each weight, and those of the loss's own parameters."""
    model.zero_grad()
    loss = GradedLoss(model, gather_across_devices=True, **settings)
    loss.model = wrapped
    columns = [model.preprocess([row[side] for row in rows]) for side in (0, 1)]
    value = loss(columns, torch.tensor([score for _, _, score in rows]))
    value.backward()
    own = [x.grad for x in loss.criterion.parameters() if x.requires_grad]
    found = [x.grad.clone() for x in model.parameters() if x.grad is not None]
    return [value.detach(), *found, *own]


def main(folder: Path, rank: int, processes: int) -> None:
    """Write the losses and gradients to FOLDER/RANK.pt."""
    model = tiny_sentence_transformer(folder / f"model{rank}")
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=processes
    )
    wrapped = nn.parallel.DistributedDataParallel(model)
    found = {
        kind: gradients(model, wrapped, SHARES[rank], **settings)
        for kind, settings in KINDS.items()
    }
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
