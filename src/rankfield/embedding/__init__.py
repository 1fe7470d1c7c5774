"""Embeddings of records, written with their ids for other systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.embedding.embed import Embedded, embed_records
    from rankfield.embedding.records import Records
    from rankfield.embedding.vector_files import vector_file_paths

_HOMES = {
    "Embedded": "embed",
    "Records": "records",
    "embed_records": "embed",
    "vector_file_paths": "vector_files",
}

__all__ = ["Embedded", "Records", "embed_records", "vector_file_paths"]

__getattr__ = lazy_names(__name__, _HOMES)
