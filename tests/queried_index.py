"""An index with columns of all kinds, and what embeds queries for it without a real model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from rankfield.encoders import RankingModel, small_encoder
from rankfield.index import Index, IndexMetadata
from rankfield.index.stores import STORES
from rankfield.schema import Field

__all__ = ["DOCUMENTS", "TEXTS", "VECTORS", "D", "N", "embed", "model", "queried_index"]

N, D = 60, 8
TEXTS = ("red mug", "blue plate", "green bowl", "dots", "red", "mug")
_RNG = np.random.default_rng(11)
_WORDS = ("red", "blue", "green", "mug", "plate", "bowl", "dots", "large")


def _unit(vectors: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    unit: npt.NDArray[np.float32] = (
        vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    ).astype(np.float32)
    return unit


def _text(row: int) -> str | None:
    if row % 13 == 5:
        return None
    return " ".join(_RNG.choice(_WORDS, int(_RNG.integers(1, 5))))


DOCUMENTS = pl.DataFrame(
    {
        "doc_id": [f"d{i:02d}" for i in range(N)],
        "title": [_text(i) for i in range(N)],
        "body": [_text(i) for i in range(N)],
        "price": [None if i % 7 == 3 else float(_RNG.integers(-3, 40)) for i in range(N)],
        "sales": [None if i % 9 == 2 else int(10 ** _RNG.uniform(0, 5)) for i in range(N)],
        "brand": [None if i % 6 == 4 else f"brand {i % 5}" for i in range(N)],
        "added": [
            None if i % 8 == 1 else date(2026, 1, 31) - timedelta(days=int(i * 7 - 20))
            for i in range(N)
        ],
        "sale": [i % 3 == 0 for i in range(N)],
    }
)
VECTORS = _unit(_RNG.normal(size=(N, D)) + 0.4)
VECTORS[[20, 41]] = VECTORS[7]  # ties
VECTORS[33] = 0  # never found


def embed(records: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
    """Return a made-up unit vector for each record: the mean of its words' directions."""
    found = []
    for record in records:
        words = re.findall(r"\w+", " ".join(map(str, record.values())))
        seeds = [int(hashlib.sha256(w.encode()).hexdigest()[:8], 16) for w in words]
        found.append(sum(np.random.default_rng(seed).normal(size=D) + 0.2 for seed in seeds))
    return _unit(np.array(found))


def model() -> RankingModel:
    """Return a model with the fields of these queries; its weights are not used."""
    torch.manual_seed(0)
    encoder = small_encoder(["red mug"], ["text"], dimension=D, width=16, layers=1)
    fields = [Field("query", "text"), Field("more", "text", 0.5)]
    return RankingModel(encoder, fields, [Field("title", "text"), Field("photo", "text")]).eval()


def queried_index(store: str, folder: Path, place: str = "") -> Index:
    """Return the index of these documents in a new folder; `place`: of a store's server."""
    metadata = IndexMetadata(
        model="tiny", model_fingerprint="abc", data="shop", data_fingerprint="def", dimension=D,
        text_fields=["title"], store_place=place, store_name=uuid4().hex if place else "",
    )  # fmt: skip

    def chunks(_: int) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        yield 0, VECTORS

    return STORES[store].build(folder, metadata, DOCUMENTS, chunks)
