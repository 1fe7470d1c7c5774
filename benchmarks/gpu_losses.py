"""Losses on a GPU, for gpu.py: the tests, time and memory, and what they equal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gpu_timing import measured, ratio
from rankfield.losses import (
    JudgedPairs,
    contrastive_loss,
    judged_contrastive_loss,
    tiled_contrastive_loss,
    tiled_judged_contrastive_loss,
)

__all__ = ["equality", "losses", "tests"]

WIDTH, JUDGED = 512, 4
ROOT = Path(__file__).parents[1]
OURS, NAIVE, OPEN_CLIP = "gcl bf16", "plain bf16", "open_clip's form bf16"


def tests(small: bool, _device: str) -> list[dict[str, Any]]:
    """Run the tests that need CUDA or Triton."""
    chosen = ["tests/losses/test_kernels.py", "tests/search"]
    words = ["-q", "-p", "no:cacheprovider", "-k", "kernels or gpu or cuda", *chosen]
    if small:
        words += ["--collect-only"]
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-3:]
    return [{"exit code": done.returncode}, *({"said": text} for text in last)]


def losses(small: bool, device: str) -> list[dict[str, Any]]:
    """Return time and memory of forward and backward."""
    rows: list[dict[str, Any]] = []
    for size in (96, 160) if small else (65536, 262144):
        found = measured(arms(size, device), device, rounds=5 if size == 65536 else 3)
        for peer in (NAIVE, OPEN_CLIP):
            found.get(OURS, {})[f"× {peer}"] = ratio(found, OURS, peer)
        floor = 8 * size**2 * WIDTH
        for figures in found.values():
            rate = (
                {"TFLOP/s of 8B²D": round(floor / figures["ms"] / 1e9, 2)}
                if "ms" in figures
                else {}
            )
            rows.append({"B": size} | figures | rate)
    return rows


def arms(size: int, device: str) -> dict[str, Callable[[], Any]]:
    """Return what goes forward and backward, by name."""
    wide = embeddings(size, device)
    narrow = [side.detach().bfloat16().requires_grad_() for side in wide]
    scale = torch.tensor(1 / 0.07, device=device, requires_grad=True)
    weights = torch.rand(size, device=device) + 0.1
    pairs = judged(size, device)
    labels = torch.arange(size, device=device)
    gcl = partial(tiled_contrastive_loss, weights=weights, logit_scale=scale)
    ranked = partial(tiled_judged_contrastive_loss, pairs=pairs, logit_scale=scale)
    plain = partial(contrastive_loss, weights=weights, logit_scale=scale)
    made: dict[str, tuple[Callable[..., Tensor], list[Tensor]]] = {
        OURS: (gcl, narrow),
        "gcl bf16, tiles of 8,192": (partial(gcl, side=8192), narrow),
        "gcl bf16, 16 GiB of logits kept": (partial(gcl, memory_mib=2**14), narrow),
        "ranked bf16": (ranked, narrow),
        "ranked bf16, one direction": (partial(ranked, direction="query_to_document"), narrow),
        NAIVE: (partial(naive, weights=weights, scale=scale), narrow),
        OPEN_CLIP: (partial(open_clip, labels=labels, scale=scale), narrow),
    }
    if size <= 65536:
        made |= {"gcl fp32": (gcl, wide), "plain fp32": (plain, wide)}
    return {name: partial(step, loss, sides, scale) for name, (loss, sides) in made.items()}


def embeddings(size: int, device: str) -> list[Tensor]:
    """Return random unit rows of both sides."""
    g = torch.Generator(device).manual_seed(0)
    rows = (torch.randn(size, WIDTH, generator=g, device=device) for _ in range(2))
    return [F.normalize(x, dim=-1).requires_grad_() for x in rows]


def judged(size: int, device: str) -> JudgedPairs:
    """Return four judged documents a query, in four grades."""
    g = torch.Generator(device).manual_seed(1)
    own = torch.arange(size, device=device).repeat(JUDGED)
    drawn = torch.randint(size, (len(own),), generator=g, device=device)
    places = torch.unique(own * size + drawn)
    scores = torch.randint(JUDGED, (len(places),), generator=g, device=device).float()
    return JudgedPairs(places // size, places % size, scores, 0.1 + scores / JUDGED)


def naive(queries: Tensor, documents: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
    """Return GCL with one product and all logits in bfloat16, as mixed precision has it."""
    logits = scale.to(queries.dtype) * (queries @ documents.T)
    own = logits.diagonal()
    both = logits.logsumexp(1) + logits.logsumexp(0) - 2 * own
    return (weights * both).sum() / (2 * weights.sum())


def open_clip(queries: Tensor, documents: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    """Return the loss as open_clip's ClipLoss has it."""
    factor = scale.to(queries.dtype)
    by_query, by_document = factor * queries @ documents.T, factor * documents @ queries.T
    return (F.cross_entropy(by_query, labels) + F.cross_entropy(by_document, labels)) / 2


def step(loss: Callable[..., Tensor], sides: list[Tensor], scale: Tensor) -> None:
    """Go forward and backward once."""
    for leaf in (*sides, scale):
        leaf.grad = None
    loss(*sides).backward()  # type: ignore[no-untyped-call]


def equality(small: bool, device: str) -> list[dict[str, Any]]:
    """Return ‖found − exact‖ / ‖exact‖ of value and gradients, by type and loss."""
    size = 128 if small else 2048
    rows = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        sides = [x.detach().to(dtype) for x in embeddings(size, device)]
        pairs = judged(size, device)
        for target in ("mask", "ranked", "soft"):
            found = gradients(tiled_judged_contrastive_loss, sides, pairs, target)
            exact = gradients(
                judged_contrastive_loss,
                [x.cpu().double() for x in sides],
                pairs.to(torch.device("cpu")),
                target,
            )
            errors = [
                float((a.cpu().double() - b).norm() / b.norm())
                for a, b in zip(found, exact, strict=True)
            ]
            words = {"loss": target, "dtype": str(dtype).removeprefix("torch.")}
            value, *others = (f"{x:.1e}" for x in errors)
            rows.append(words | {"value": value, "gradients": " ".join(others)})
    return rows


def gradients(
    loss: Callable[..., Tensor], sides: list[Tensor], pairs: JudgedPairs, target: str
) -> list[Tensor]:
    """Return value and gradients by both sides."""
    leaves = [x.clone().requires_grad_() for x in sides]
    value = loss(*leaves, pairs, 50.0, target=target)
    return [value.detach(), *torch.autograd.grad(value, leaves)]
