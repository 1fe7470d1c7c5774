"""A torchvision that can be imported beside a torch which its operators were not built for."""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["usable_torchvision"]

# What torchvision describes as it is imported, whether its library was loaded or not.
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_KEPT: list[object] = []
"""Libraries whose schemas torch would forget with them."""


@cache
def usable_torchvision() -> None:
    """Let torchvision be imported where its compiled operators cannot be loaded.

    The wheels of torchvision are built for CUDA. Beside torch for the CPU its library does not
    load, and then its import fails ("operator torchvision::nms does not exist"), and with it that
    of every library which imports torchvision where it is installed: open_clip, timm, peft,
    sentence-transformers and parts of transformers. It suffices that these operators have a
    schema: nothing here calls them. Without torchvision, and where its library loads, nothing is
    done. To be called before the first import.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        return
    import torch

    operators: Any = torch.ops
    with suppress(OSError):
        for path in sorted(Path(found.submodule_search_locations[0]).glob("_C*")):
            operators.load_library(str(path))
    if hasattr(operators.torchvision, "nms"):
        return
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)
    _KEPT.append(library)
