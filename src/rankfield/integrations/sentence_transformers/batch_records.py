"""The distinct records of a tokenized column: rows of equal content are one."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["ColumnRecords", "column_records", "numbered"]

Features = dict[str, Any]
Key = tuple[int, int]
"""128 bits of a row's content."""

_KEY = np.dtype("<i8")


@dataclass(frozen=True)
class ColumnRecords:
    """The distinct records of a column of N rows, in the order of their first rows.

    features: what the model encodes: the m distinct rows, or all rows where single ones cannot be
        taken out.
    kept: int64 m, which rows of the encoded ones are the distinct records.
    keys: int64 m × 2, equal between processes exactly where the content is.
    of_row: int64 N, the record of each row.
    """

    features: Features
    kept: Tensor
    keys: Tensor
    of_row: Tensor


def column_records(features: Mapping[str, Any], rows: int) -> ColumnRecords:
    """Return the distinct records among the rows of a column.

    Content is what the model is given: token ids without padding, pixels. Texts that are equal
    after they are cut at the model's length are therefore equal.

    Args:
        features: from the model's `preprocess`, padded or flattened, of text, images or both.
        rows: N.
    """
    keys = [_key(row) for row in _row_contents(features, rows)]
    of_row, first = numbered(keys)
    kept, encoded = torch.tensor(first), dict(features)
    if _by_row(features, rows):
        encoded = {k: v[first] if isinstance(v, Tensor) else v for k, v in features.items()}
        kept = torch.arange(len(first))
    return ColumnRecords(
        encoded, kept, torch.tensor([keys[row] for row in first]), torch.tensor(of_row)
    )


def numbered(values: Iterable[Hashable]) -> tuple[list[int], list[int]]:
    """Return the number of each value, in the order of first occurrence, and those occurrences."""
    numbers: dict[Hashable, int] = {}
    of_each, first = [], []
    for place, value in enumerate(values):
        if value not in numbers:
            numbers[value] = len(numbers)
            first.append(place)
        of_each.append(numbers[value])
    return of_each, first


def _by_row(features: Mapping[str, Any], rows: int) -> bool:
    """Whether row i of every tensor belongs to row i of the column."""
    tensors = [value for value in features.values() if isinstance(value, Tensor)]
    flat = "cu_seq_lens_q" in features or "offsets" in features
    return not flat and all(x.ndim > 0 and len(x) == rows for x in tensors)


def _row_contents(features: Mapping[str, Any], rows: int) -> Iterator[Sequence[Any]]:
    """Yield the arrays that each row consists of, each after its name."""
    on_cpu = {k: v.detach().cpu() for k, v in features.items() if isinstance(v, Tensor)}
    if _by_row(features, rows):
        arrays = {name: _array(value) for name, value in sorted(on_cpu.items())}
        for row in range(rows):
            yield _content({name: array[row] for name, array in arrays.items()})
    elif "offsets" in on_cpu:  # static embeddings: all tokens in one sequence
        ids = _array(on_cpu["input_ids"])
        bounds = [*on_cpu["offsets"].tolist(), len(ids)]
        for start, end in pairwise(bounds):
            yield "input_ids", ids[start:end]
    else:
        from sentence_transformers.base.losses.gradcache import _create_minibatch

        for row in range(rows):
            part = _create_minibatch({**features, **on_cpu}, row, row + 1)
            of_row = {k: _array(v) for k, v in sorted(part.items()) if isinstance(v, Tensor)}
            yield _content({k: v[0] if v.ndim and len(v) == 1 else v for k, v in of_row.items()})


def _content(row: Mapping[str, npt.NDArray[Any]]) -> list[Any]:
    """Return names and arrays of a row; what has a value for each token, without the padding."""
    mask = row.get("attention_mask")
    content: list[Any] = []
    for name, array in row.items():
        padded = mask is not None and array.shape == mask.shape
        content += [name, array[mask != 0] if padded else array]
    return content


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    # NumPy knows no bfloat16: the bits will do.
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _key(content: Sequence[Any]) -> Key:
    digest = hashlib.blake2b(digest_size=16)
    for part in content:
        head = part if isinstance(part, str) else repr(part.shape)
        digest.update(f"{len(head)}:{head}".encode())
        if not isinstance(part, str):
            digest.update(np.ascontiguousarray(part).tobytes())
    first, second = np.frombuffer(digest.digest(), _KEY).tolist()
    return first, second
