"""Two processes over gloo: the loss and the gradient of the global batch."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from judged_batches import LOSSES, assert_same, random_batch
from rankfield.losses import JudgedPairs, gather_shares, gather_with_gradient

PROCESSES = 2
WORKER = Path(__file__).with_name("gather_worker.py")

SHAPES = [(8, 6), (7, 5), (6, 1), (1, 7), (1, 1)]
"""Even and odd totals; fewer rows than processes on either side, or on both."""

Found = dict[str, list[Tensor]]


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, list[Found]]:
    """The value and gradients of every problem: of one process, and of each of two."""
    spec = importlib.util.spec_from_file_location("gather_worker", WORKER)
    assert spec is not None
    assert spec.loader is not None
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)

    folder = tmp_path_factory.mktemp("gather")
    torch.manual_seed(0)
    tower = worker.Tower()
    problems, alone = {}, {}
    of_one = {name: loss for name, (loss, _) in LOSSES.items()} | worker.FURTHER
    of_one |= {name: of_one[name.removeprefix("distributed ")] for name in worker.DISTRIBUTED}
    for name in of_one:
        for seed, (m, n) in enumerate(SHAPES):
            batch = random_batch(m, n, seed=seed, width=5)
            problem = [batch.queries, batch.documents, *vars(batch.pairs).values()]
            queries, documents, scale = tower(batch.queries, batch.documents)
            value = of_one[name](queries, documents, JudgedPairs(*problem[2:]), scale)
            if name not in worker.FURTHER:
                problems[f"{name}:{m}×{n}"] = problem
            alone[f"{name}:{m}×{n}"] = worker.gradients(value, tower)
    torch.save([tower.state_dict(), problems], folder / "problems.pt")
    paths = os.pathsep.join([str(WORKER.parents[1]), *filter(None, sys.path)])
    command = [sys.executable, "-W", "ignore", str(WORKER), str(folder)]
    workers = [
        subprocess.Popen(
            [*command, str(rank), str(PROCESSES)], env={**os.environ, "PYTHONPATH": paths}
        )
        for rank in range(PROCESSES)
    ]
    assert [w.wait(timeout=120) for w in workers] == [0] * PROCESSES
    of_each = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)]
    return alone, of_each


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [f"{m}×{n}" for m, n in SHAPES])
def test_two_processes_equal_one(name: str, shape: str, found: tuple[Found, list[Found]]) -> None:
    alone, of_each = found
    expected = alone[f"{name}:{shape}"]
    assert len(expected) == 4
    for rank in range(PROCESSES):
        assert_same(of_each[rank][f"{name}:{shape}"], expected, 1e-12)


@pytest.mark.parametrize("shape", [f"{m}×{n}" for m, n in SHAPES])
def test_two_processes_share_the_work(shape: str, found: tuple[Found, list[Found]]) -> None:
    """The loss and gradients of one, of the contrastive forms, pairs, dimensions and lists."""
    alone, of_each = found
    names = [name for name in alone if name.startswith("distributed") and name.endswith(shape)]
    assert len(names) >= 15
    for name in names:
        for of_rank in of_each:
            assert_same(of_rank[name], alone[name], 1e-12)


def test_each_process_computes_half(found: tuple[Found, list[Found]]) -> None:
    """Or less: each has memory of its own to keep tiles in."""
    for of_rank in found[1]:
        (shared,), (alone,) = of_rank["work"], of_rank["work of one"]
        assert len(shared) >= 7
        assert (shared <= alone / PROCESSES).all()
        assert (shared > alone / (2 * PROCESSES)).all()


def test_the_gathered_gradient_is_not_summed_into_others(
    found: tuple[Found, list[Found]],
) -> None:
    for of_rank in found[1]:
        gathered, local, other = of_rank["shared gradient"]
        assert gathered.tolist() == [[0.0] * 2] * 3 + [[1.0] * 2] * 3
        assert torch.equal(local, torch.full((3, 2), float(PROCESSES)))
        assert torch.equal(other, 2 * torch.ones(6, 2))


def test_without_a_process_group_the_rows_come_back() -> None:
    local = torch.arange(8.0).reshape(4, 2).requires_grad_()
    assert gather_with_gradient(local) is local
    assert torch.equal(gather_shares(local, 3), local[:3])
    assert gather_shares(local[:0], 0).shape == (0, 2)
    gather_shares(local, 3).sum().backward()  # type: ignore[no-untyped-call]
    assert local.grad is not None
    assert local.grad[:, 0].tolist() == [1, 1, 1, 0]
    with pytest.raises(ValueError, match="⌈5 / 1⌉ rows a process, found 4"):
        gather_shares(local, 5)
