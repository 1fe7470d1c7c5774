"""Two processes over gloo: the loss and the gradient of one batch of all rows."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import torch

from tiny_sentence_transformer import tiny_sentence_transformer

WORKER = Path(__file__).with_name("drop_in_worker.py")


def test_two_processes_equal_one_batch(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("drop_in_worker", WORKER)
    assert spec is not None
    assert spec.loader is not None
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)

    paths = os.pathsep.join([str(WORKER.parents[1]), *filter(None, sys.path)])
    command = [sys.executable, "-W", "ignore", str(WORKER), str(tmp_path)]
    workers = [
        subprocess.Popen([*command, str(rank), "2"], env={**os.environ, "PYTHONPATH": paths})
        for rank in range(2)
    ]
    assert [w.wait(timeout=250) for w in workers] == [0, 0]
    model = tiny_sentence_transformer(tmp_path / "alone")
    rows = [row for share in worker.SHARES for row in share]
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for kind, settings in worker.KINDS.items():
        expected = worker.gradients(model, model, rows, **settings)
        assert len(expected) > 10
        for of_rank in found:
            torch.testing.assert_close(of_rank[kind], expected, rtol=2e-5, atol=2e-6)
