"""How a search computes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SearchOptions"]


@dataclass(frozen=True)
class SearchOptions:
    """How an exact search computes: whatever is chosen, it finds the same to the bit.

    memory_mib: about how much to use beside the embeddings and the result.
    device: where to multiply, as torch names it.
    precision: "float32", "bfloat16", or "auto": bfloat16 where the processor multiplies it.
    """

    memory_mib: int = 256
    device: str = "cpu"
    precision: str = "auto"
