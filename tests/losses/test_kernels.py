"""The losses by Triton's kernels: interpreted on the CPU, and compiled for GPUs, without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from judged_batches import Batch, random_batch, value_and_gradients
from rankfield.losses import judged_contrastive_loss, tiled_judged_contrastive_loss
from rankfield.losses.targets import Target
from rankfield.losses.tile_fused import FusedTile, fused
from rankfield.losses.tile_softmax import SoftmaxTile

pytest.importorskip("triton")

BF16 = 2.0**-8
"""Half the distance of two numbers of bfloat16, of which the gradients have twice the error."""


def of_worker(name: str, tmp_path: Path, **variables: str) -> Any:
    """Return what a script beside this file writes."""
    script = Path(__file__).with_name(name)
    paths = os.pathsep.join([str(script.parents[1]), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths, "TRITON_CACHE_DIR": str(tmp_path)}
    path = tmp_path / "found.json"
    command = [sys.executable, "-W", "ignore", str(script), str(path)]
    subprocess.run(command, check=True, env=environment | variables, timeout=250)
    return json.loads(path.read_text("utf-8"))


def test_interpreted_kernels_equal_the_definitions(tmp_path: Path) -> None:
    found = of_worker("kernel_worker.py", tmp_path, TRITON_INTERPRET="1")
    assert len(found) > 70
    for case, errors in found.items():
        kernels, definition = errors["kernels"], errors["definition"]
        assert kernels[0] < 1e-6, case
        for ours, plain in zip(kernels[1:], definition[1:], strict=True):
            allowed = 2 * BF16 if "bfloat16" in case else 1e-6
            assert ours < 2 * plain + allowed, case


def test_compiled_kernels_keep_to_their_registers(tmp_path: Path) -> None:
    found = of_worker("kernel_compile.py", tmp_path)
    assert len(found) == 12
    assert max(found.values()) <= 16, found


def test_kernels_are_for_gpus_and_float32_or_less() -> None:
    form = SoftmaxTile()
    assert fused(form, torch.empty(1)) is form
    assert fused(form, torch.empty(1, device="meta")) is form
    assert FusedTile(form).nothing == form.nothing


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("target", ["mask", "soft", "ranked", "pair"])
def test_a_gpu_equals_the_cpu(target: Target, dtype: torch.dtype) -> None:
    batch = random_batch(700, 900, seed=1, width=64).to(dtype)
    few = batch.pairs.chosen(torch.arange(1500))
    expected, found = (
        value_and_gradients(
            partial(loss, target=target),
            Batch(batch.queries.to(device), batch.documents.to(device), few.to(device)),
            30.0,
        )
        for loss, device in (
            (judged_contrastive_loss, torch.device("cpu")),
            (tiled_judged_contrastive_loss, torch.device("cuda")),
        )
    )
    tolerance = 1e-5 if dtype == torch.float32 else 4 * BF16
    for a, b in zip(found, expected, strict=True):
        assert float((a.cpu() - b).norm()) <= tolerance * float(b.norm()) + 1e-6
