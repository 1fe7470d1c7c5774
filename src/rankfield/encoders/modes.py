"""Training and evaluation mode: who changes a module's mode gives it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["evaluation_mode"]


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode while the block runs; afterwards each part has its own.

    Parts may differ (a frozen tower in a training model) and may belong to other modules too, so
    that one mode for all of them would not do.
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
