"""A model that embeds for many requests at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.serving.batch_thread import BatchThread, Lane
from rankfield.serving.vector_cache import VectorCache

__all__ = ["Embedder"]

Vectors = npt.NDArray[np.float32]
Record = Mapping[str, Any]

_TEXTS, _IMAGES = 64, 16


class Embedder:
    """Embeds records of one model in one thread, those of several requests together.

    Texts and images have lanes of their own, so that a text does not wait for images of the same
    batch. What was embedded is kept by its content.

    Args:
        model: the model, used by nothing else.
        fingerprint: of the model.
        thread: in which it computes.
        cache: of all models of a service.
    """

    def __init__(
        self, model: RankingModel, fingerprint: str, thread: BatchThread, cache: VectorCache
    ) -> None:
        self.model, self.fingerprint = model, fingerprint
        self._thread, self._cache = thread, cache
        self._lanes: dict[tuple[Side, bool, int], Lane] = {}
        self._counting = Lane(self._count, 1)

    def queries(self, records: Sequence[Record]) -> Vectors:
        """Return the embeddings of queries, as `embed`."""
        return self.embed(records, "query")

    def embed(self, records: Sequence[Record], side: Side, dimension: int | None = None) -> Vectors:
        """Return unit embeddings, float32 (n, d), as `RankingModel.encode_queries` does.

        Args:
            records: field → text or image (bytes, PIL image).
            side: whose fields they are.
            dimension: d; by default the model's.

        Raises:
            DataError, ImageError, ModelError: as the model does.
        """
        width = self.model.dimension if dimension is None else dimension
        self.model.checked_dimension(width)
        keys = [self._key(record, side, width) for record in records]
        found = {key: self._cache.get(key) for key in dict.fromkeys(keys)}
        missing = {
            key: record for key, record in zip(keys, records, strict=True) if found[key] is None
        }
        for with_images in (False, True):
            part = [key for key in missing if _has_image(missing[key]) == with_images]
            lane = self._lane(side, with_images, width)
            # one call after the other: the searches that come meanwhile have their turn
            for start in range(0, len(part), lane.most):
                keys_now = part[start : start + lane.most]
                vectors = self._thread.call(lane, [missing[key] for key in keys_now])
                for key, vector in zip(keys_now, vectors, strict=True):
                    found[key] = self._cache.keep(key, vector)
        out = np.empty((len(keys), width), dtype=np.float32)
        for row, key in enumerate(keys):
            out[row] = found[key]
        return out

    def tokens(self, texts: Sequence[str], side: Side) -> int:
        """Return how many tokens the model reads of texts."""
        if not texts:
            return 0
        counted: int = self._thread.call(self._counting, [(list(texts), side)])[0]
        return counted

    def _count(self, asked: list[Any]) -> list[int]:
        counts = []
        for texts, side in asked:
            items = self.model.encoder.tokenize(texts, side)
            mask = items.get("attention_mask")
            counts.append(int(items["input_ids"].numel() if mask is None else mask.sum()))
        return counts

    def _lane(self, side: Side, with_images: bool, dimension: int) -> Lane:
        def handle(records: list[Any]) -> list[Any]:
            encode = self.model.encode_queries if side == "query" else self.model.encode_documents
            return list(encode(records, show_progress_bar=False, truncate_dim=dimension))

        new = Lane(handle, _IMAGES if with_images else _TEXTS)
        return self._lanes.setdefault((side, with_images, dimension), new)

    def _key(self, record: Record, side: Side, dimension: int) -> bytes:
        digest = hashlib.sha256(f"{self.fingerprint} {side} {dimension}".encode())
        entries = [
            (name, one)
            for name, value in sorted(record.items())
            for one in (value if isinstance(value, list) else [value])
        ]
        for name, value in entries:
            if isinstance(value, Image.Image):
                kind, content = f"pixels {value.mode} {value.size}", value.tobytes()
            elif isinstance(value, bytes):
                kind, content = "image", value
            else:
                kind, content = "text", str(value).encode()
            digest.update(f"\0{len(name)} {name} {kind} {len(content)} ".encode())
            digest.update(content)
        return digest.digest()


def _has_image(record: Record) -> bool:
    return any(not isinstance(value, str) for value in record.values())
