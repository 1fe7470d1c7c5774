"""Two processes over gloo: the loss and the gradient of the global batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

from rankfield.losses import contrastive_loss

PROCESSES = 2

WORKER = """
import sys
import torch, torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from rankfield.losses import ContrastiveLoss

folder, rank = sys.argv[1], int(sys.argv[2])
dist.init_process_group(
    "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
)
layer = nn.Linear(5, 5).double()
weight, bias, left, right, weights = torch.load(f"{folder}/problem.pt", weights_only=True)
layer.load_state_dict({"weight": weight, "bias": bias})
model = nn.parallel.DistributedDataParallel(layer)
mine = slice(rank, None, 2)
a = F.normalize(model(left[mine]), dim=-1)
b = F.normalize(right[mine], dim=-1)
loss = ContrastiveLoss()(a, b, weights[mine], torch.tensor(9.0))
loss.backward()
torch.save([loss.detach(), layer.weight.grad], f"{folder}/{rank}.pt")
dist.destroy_process_group()
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 5).double()
    left, right = torch.randn(2, 12, 5, dtype=torch.float64)
    weights = torch.rand(12, dtype=torch.float64)
    state = [layer.weight.detach(), layer.bias.detach(), left, right, weights]
    torch.save(state, tmp_path / "problem.pt")
    workers = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", WORKER, str(tmp_path), str(rank)])
        for rank in range(PROCESSES)
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]

    left, right = F.normalize(layer(left), dim=-1), F.normalize(right, dim=-1)
    loss = contrastive_loss(left, right, weights, 9.0)
    loss.backward()  # type: ignore[no-untyped-call]
    for rank in range(PROCESSES):
        value, gradient = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(value, loss.detach())
        torch.testing.assert_close(gradient, layer.weight.grad)
