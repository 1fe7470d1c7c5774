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

_FLATTENED_TEXT = {
    *("input_ids", "position_ids", "seq_idx"),
    *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"),
}
"""Tensors of texts in one sequence, where the token ids say all."""


@dataclass(frozen=True)
class ColumnRecords:
    """The distinct records of a column of N rows, in the order of their first rows.

    features: what the model encodes: the m distinct rows, or all rows where single ones cannot be
        taken out.
    kept: int64 m, which rows of the encoded ones are the distinct records.
    of_row: int64 N, the record of each row.
    keys: int64 m × 2, equal between processes exactly where the content is; None if not asked for.
    """

    features: Features
    kept: Tensor
    of_row: Tensor
    keys: Tensor | None


def column_records(
    features: Mapping[str, Any], rows: int, *, with_keys: bool = False
) -> ColumnRecords:
    """Return the distinct records among the rows of a column.

    Content is what the model is given: token ids without padding, pixels. Texts that are equal
    after they are cut at the model's length are therefore equal.

    Args:
        features: from the model's `preprocess`, padded or flattened, of text, images or both.
        rows: N.
        with_keys: also compute `ColumnRecords.keys`, which costs more than all else.
    """
    by_row = _by_row(features, rows)
    contents = _row_bytes(features, rows) if by_row else map(_key, _row_contents(features, rows))
    of_row, first = numbered(contents)
    kept, encoded = torch.tensor(first), dict(features)
    if by_row:
        if len(first) < rows:
            encoded = {
                k: _rows(v, kept) if isinstance(v, Tensor) else v for k, v in encoded.items()
            }
        kept = torch.arange(len(first))
    keys = None
    if with_keys:
        hashed = [_key(content) for content in _row_contents(features, rows)]
        keys = torch.tensor([hashed[row] for row in first])
    return ColumnRecords(encoded, kept, torch.tensor(of_row), keys)


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


def _rows(tensor: Tensor, rows: Tensor) -> Tensor:
    return tensor.index_select(0, rows.to(tensor.device))


def _row_bytes(features: Mapping[str, Any], rows: int) -> list[bytes]:
    """Return the bytes of each row of all tensors, equal within the batch where the content is."""
    arrays = {k: _array(v) for k, v in sorted(features.items()) if isinstance(v, Tensor)}
    mask = arrays.get("attention_mask")
    parts = []
    for array in arrays.values():
        padded = mask is not None and array.shape == mask.shape
        without = np.where(mask != 0, array, 0) if padded else np.ascontiguousarray(array)
        parts.append(without.reshape(rows, -1).view(np.uint8))
    return [row.tobytes() for row in np.concatenate(parts, axis=1)]


def _row_contents(features: Mapping[str, Any], rows: int) -> Iterator[Sequence[Any]]:
    """Yield the arrays that each row consists of, each after its name."""
    arrays = {k: _array(v) for k, v in sorted(features.items()) if isinstance(v, Tensor)}
    if _by_row(features, rows):
        for row in range(rows):
            yield _content({name: array[row] for name, array in arrays.items()})
    elif "offsets" in arrays:  # static embeddings: all tokens in one sequence
        ids = arrays["input_ids"]
        yield from _sequences(ids, [*arrays["offsets"].tolist(), len(ids)])
    elif "cu_seq_lens_q" in arrays and _FLATTENED_TEXT.issuperset(arrays):
        yield from _sequences(arrays["input_ids"][0], arrays["cu_seq_lens_q"].tolist())
    else:
        from sentence_transformers.base.losses.gradcache import _create_minibatch

        on_cpu = {k: v.detach().cpu() for k, v in features.items() if isinstance(v, Tensor)}
        for row in range(rows):
            part = _create_minibatch({**features, **on_cpu}, row, row + 1)
            of_row = {k: _array(v) for k, v in sorted(part.items()) if isinstance(v, Tensor)}
            yield _content({k: v[0] if v.ndim and len(v) == 1 else v for k, v in of_row.items()})


def _sequences(ids: npt.NDArray[Any], bounds: Sequence[float]) -> Iterator[Sequence[Any]]:
    for start, end in pairwise(map(int, bounds)):
        yield "input_ids", ids[start:end]


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
    tensor = tensor.detach().cpu()
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
