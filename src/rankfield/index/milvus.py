"""Milvus, a server or a cluster, as the store of an index: https://milvus.io."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rankfield.errors import InputError
from rankfield.extras import needs_extra
from rankfield.index.base import Vectors
from rankfield.index.candidates import CandidateIndex, Candidates, Keys
from rankfield.index.metadata import IndexMetadata
from rankfield.messages import first_line

__all__ = ["TOKEN", "MilvusIndex"]

TOKEN = "MILVUS_TOKEN"
"""The environment variable with the token, or user:password, of the server."""

_AT_ONCE = 4096
"""Rows of a message: the server takes 64 MiB."""
_MOST = 16_384
"""The server returns no more."""
_TIMEOUT = 60.0
_PAUSES = (0.5, 2.0)
"""Seconds before another try: a busy server sometimes answers a new connection too late."""


class MilvusIndex(CandidateIndex):
    """The `Index` for which Milvus proposes documents."""

    name: ClassVar[str] = "milvus"

    @classmethod
    def open_store(cls, folder: Path, metadata: IndexMetadata) -> Candidates:  # noqa: ARG003
        """Return the collection of an index, as `CandidateIndex.open_store`."""
        return _Collection(metadata.store_place, metadata.store_name, metadata.dimension)

    @classmethod
    def check_store(cls, metadata: IndexMetadata) -> None:
        """Refuse what is no server that answers, as `CandidateIndex.check_store`."""
        if not re.match(r"https?://[^/@]+", metadata.store_place):
            raise InputError(
                f"expected the address of a server, found {metadata.store_place!r}",
                where="store milvus",
                remedy=f"For instance milvus:http://localhost:19530; a token goes into {TOKEN}.",
            )
        client = _client(metadata.store_place)
        with _reached(metadata.store_place):
            client.list_collections()


def _client(place: str) -> Any:
    """Return a client of a server.

    Raises:
        MissingExtraError: pymilvus is not installed.
        InputError: the server cannot be reached.
    """
    with needs_extra("milvus", "pymilvus is not installed", where="store milvus"):
        import pymilvus
        from pymilvus.client.types import Status
        from pymilvus.exceptions import MilvusException
    token = os.environ.get(TOKEN, "")
    with _reached(place):
        for pause in _PAUSES:
            try:
                return pymilvus.MilvusClient(uri=place, token=token, timeout=_TIMEOUT)
            except MilvusException as error:
                if error.code != Status.CONNECT_FAILED:
                    raise
            time.sleep(pause)
        return pymilvus.MilvusClient(uri=place, token=token, timeout=_TIMEOUT)


@contextmanager
def _reached(place: str) -> Iterator[None]:
    """Turn the client's errors into ours."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, OSError) as error:
        reason = first_line(error)[:200]
        raise InputError(
            f"Milvus refuses or cannot be reached ({reason})",
            where=place,
            remedy=f"Start it, or see the address and the token ({TOKEN}).",
        ) from error


class _Collection:
    def __init__(self, place: str, name: str, dimension: int) -> None:
        self._place, self._name = place, f"rankfield_{name or 'vectors'}"
        self._client = _client(place)
        with _reached(place):
            if not self._client.has_collection(self._name):
                self._create(dimension)
            # After a restart of the server its collections are not in memory.
            self._client.load_collection(self._name)

    def _create(self, dimension: int) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        self._client.create_collection(
            self._name, schema=schema, index_params=index, consistency_level="Strong"
        )

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Write vectors, as `Candidates.add`."""
        with _reached(self._place):
            for start in range(0, len(keys), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                rows = [
                    {"key": key, "vector": vector}
                    for key, vector in zip(keys[part].tolist(), vectors[part], strict=True)
                ]
                self._client.upsert(self._name, rows)

    def remove(self, keys: Keys) -> None:
        """Remove vectors, as `Candidates.remove`."""
        with _reached(self._place):
            for start in range(0, len(keys), _AT_ONCE):
                self._client.delete(self._name, ids=keys[start : start + _AT_ONCE].tolist())

    def count(self, first: int, last: int) -> int:
        """Return the number of keys, as `Candidates.count`."""
        with _reached(self._place):
            found = self._client.query(
                self._name,
                filter=f"key >= {first:d} and key < {last:d}",
                output_fields=["count(*)"],
            )
        return int(found[0]["count(*)"])

    def nearest(self, vector: Vectors, count: int) -> Keys:
        """Return the nearest, as `Candidates.nearest`."""
        with _reached(self._place):
            (found,) = self._client.search(
                self._name,
                data=[np.asarray(vector, dtype=np.float32).tolist()],
                limit=min(count, _MOST),
                output_fields=[],
                search_params={"metric_type": "IP"},
            )
        return np.array([hit["key"] for hit in found], dtype=np.int64)

    def finish(self) -> None:
        """Have what was added written and searched."""
        with _reached(self._place):
            self._client.flush(self._name)

    def drop(self) -> None:
        """Remove the collection."""
        with _reached(self._place):
            self._client.drop_collection(self._name)
