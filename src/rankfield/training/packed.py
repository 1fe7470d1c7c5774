"""A batch whose tensors lie in one block of shared memory, to be sent to another process.

Each shared tensor costs a file descriptor and a connection between the processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

__all__ = ["Packed", "pack", "packed_size", "tensors", "unpack"]

_ALIGNED = 64


@dataclass(frozen=True)
class Packed:
    """A value with places in `block` (uint8) instead of tensors."""

    value: Any
    block: Tensor

    def pin_memory(self) -> Packed:
        """Return the same in pinned memory; the name is that which torch's `DataLoader` calls."""
        return Packed(self.value, self.block.pin_memory())


@dataclass(frozen=True)
class _Place:
    start: int
    shape: torch.Size
    dtype: torch.dtype


def pack(value: Any) -> Packed:
    """Copy the tensors in dataclasses and dictionaries into shared memory.

    Raises:
        RuntimeError, OSError: shared memory is full.
    """
    block = torch.empty(packed_size(value), dtype=torch.uint8)
    # before it is filled: memory that is not there cannot be written to
    block.share_memory_()  # type: ignore[no-untyped-call]
    end = 0

    def place(tensor: Tensor) -> _Place:
        nonlocal end
        start, end = end, end + _room(tensor)
        block[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape).copy_(tensor)
        return _Place(start, tensor.shape, tensor.dtype)

    return Packed(_mapped(value, Tensor, place), block)


def unpack(packed: Packed) -> Any:
    """Return the value, whose tensors share the block's memory."""

    def tensor(place: _Place) -> Tensor:
        size = math.prod(place.shape) * place.dtype.itemsize
        return packed.block[place.start : place.start + size].view(place.dtype).view(place.shape)

    return _mapped(packed.value, _Place, tensor)


def packed_size(value: Any) -> int:
    """Return how many bytes the block of a value has."""
    return sum(map(_room, tensors(value)))


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors in dataclasses and dictionaries, in their order."""
    found: list[Tensor] = []
    _mapped(value, Tensor, found.append)
    return found


def _room(tensor: Tensor) -> int:
    return math.ceil(tensor.nbytes / _ALIGNED) * _ALIGNED


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """Return the value with everything of one kind in it changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(inner, kind, change) for key, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
        return replace(value, **{n: _mapped(getattr(value, n), kind, change) for n in names})
    return value
