"""Documents and vectors for tests of indexes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from rankfield.index import IndexMetadata
from rankfield.index.base import Vectors

__all__ = ["DOCUMENTS", "METADATA", "VECTORS", "D", "N", "chunks", "documents_of", "vectors_of"]

_RNG = np.random.default_rng(5)
N, D = 60, 8


def vectors_of(rows: int) -> Vectors:
    vectors = _RNG.normal(size=(rows, D)).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def documents_of(ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"doc_id": ids, "title": [f"title {i}" for i in ids], "price": range(len(ids))},
        schema_overrides={"price": pl.Int64},
    )


DOCUMENTS = documents_of([f"d{i:02d}" for i in range(N)])
VECTORS = vectors_of(N)
VECTORS[[20, 41]] = VECTORS[7]  # ties
METADATA = IndexMetadata(
    model="tiny", model_fingerprint="abc", data="shop", data_fingerprint="def", dimension=D
)


def chunks(done: int) -> Iterator[tuple[int, Vectors]]:
    for start in range(done // 16 * 16, N, 16):
        yield start, VECTORS[start : start + 16]
