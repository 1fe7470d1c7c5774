"""In which precision an encoder computes its matrix products: for "auto" the faster one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from rankfield.errors import InputError

__all__ = ["PRECISIONS", "Precision", "bfloat16_is_faster", "chosen_precision", "computing_in"]

Precision = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_ROWS = {"cpu": 1024}
_GPU_ROWS = 8192
_ROUNDS = 4
_SHAPES = 3
_LEAST_WIDTH = 64
_GAIN = 1.3
"""How much faster the products must be: what is not a product, and the casts, gain nothing."""


def chosen_precision(precision: str, encoder: nn.Module, device: torch.device) -> str:
    """Return "float32" or "bfloat16": for "auto" as `bfloat16_is_faster` says.

    Raises:
        InputError: it is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"expected a precision of {', '.join(PRECISIONS)}, found {precision!r}", where="embed"
        )
    if precision != "auto":
        return precision
    return "bfloat16" if bfloat16_is_faster(encoder, device) else "float32"


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which matrix products are computed in "bfloat16", or nothing changes.

    Weights stay float32; products of theirs are cast once in the context.
    """
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def bfloat16_is_faster(encoder: nn.Module, device: torch.device) -> bool:
    """Return whether the encoder's largest matrix products are 1.3 times as fast in bfloat16.

    Products of the shapes in which the encoder computes most, at most three, are timed in both, in
    turns; the fastest of a few rounds counts. A process tries each set of shapes once for each
    device and number of threads. An encoder without a matrix of at least 64 × 64 is not tried.
    """
    shapes = _largest_products(encoder)
    return bool(shapes) and _faster(str(device), torch.get_num_threads(), shapes)


def _largest_products(encoder: nn.Module) -> tuple[tuple[int, int], ...]:
    """Return (outputs, inputs) of the matrices that take most of the products, largest first."""
    tables = {id(m.weight) for m in encoder.modules() if isinstance(m, nn.Embedding)}
    counts = Counter(
        (weight.shape[0], weight.shape[1])
        for weight in encoder.parameters()
        if weight.ndim == 2 and min(weight.shape) >= _LEAST_WIDTH and id(weight) not in tables
    )
    order = sorted(counts, key=lambda shape: (-counts[shape] * shape[0] * shape[1], shape))
    return tuple(order[:_SHAPES])


@lru_cache(maxsize=64)
def _faster(device: str, threads: int, shapes: tuple[tuple[int, int], ...]) -> bool:  # noqa: ARG001
    place = torch.device(device)
    exact = half = 0.0
    for outputs, inputs in shapes:
        try:
            times = _times(place, outputs, inputs)
        except RuntimeError:  # the device has no such product
            return False
        exact, half = exact + times[0], half + times[1]
    return exact >= _GAIN * half


def _times(device: torch.device, outputs: int, inputs: int) -> tuple[float, float]:
    """Return the seconds of one product in float32 and in bfloat16, casts of its inputs included.

    Numbers of their own generator: a run's random state stays as it is.
    """
    generator = torch.Generator().manual_seed(0)
    rows = _ROWS.get(device.type, _GPU_ROWS)
    values = torch.randn(rows, inputs, generator=generator).to(device)
    weight = torch.randn(outputs, inputs, generator=generator).to(device)
    half = weight.to(torch.bfloat16)
    forms: tuple[Callable[[], Tensor], ...] = (
        lambda: values @ weight.T,
        lambda: values.to(torch.bfloat16) @ half.T,
    )
    best = [float("inf")] * len(forms)
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        for _ in range(_ROUNDS):
            for place, form in enumerate(forms):
                start = time.perf_counter()
                form()
                if device.type != "cpu":
                    torch.accelerator.synchronize(device)
                best[place] = min(best[place], time.perf_counter() - start)
    return best[0], best[1]
