"""Documents that are embedded once and searched often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.index.base import Filter, Index
    from rankfield.index.build import build_index, check_current, check_data, index_model
    from rankfield.index.cached_embedder import CachedEmbedder
    from rankfield.index.exact import ExactIndex
    from rankfield.index.metadata import IndexMetadata, is_index
    from rankfield.index.previous import roll_back
    from rankfield.index.stores import STORES, open_index

_HOMES = {
    "CachedEmbedder": "cached_embedder",
    "ExactIndex": "exact",
    "Filter": "base",
    "Index": "base",
    "IndexMetadata": "metadata",
    "STORES": "stores",
    "build_index": "build",
    "check_current": "build",
    "check_data": "build",
    "index_model": "build",
    "is_index": "metadata",
    "open_index": "stores",
    "roll_back": "previous",
}

__all__ = [
    "STORES",
    "CachedEmbedder",
    "ExactIndex",
    "Filter",
    "Index",
    "IndexMetadata",
    "build_index",
    "check_current",
    "check_data",
    "index_model",
    "is_index",
    "open_index",
    "roll_back",
]

__getattr__ = lazy_names(__name__, _HOMES)
