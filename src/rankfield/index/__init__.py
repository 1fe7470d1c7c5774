"""Documents that are embedded once and searched often."""

from __future__ import annotations

from rankfield.index.base import Filter, Index
from rankfield.index.build import build_index, check_current, check_data, index_model
from rankfield.index.cached_embedder import CachedEmbedder
from rankfield.index.exact import ExactIndex
from rankfield.index.metadata import IndexMetadata, is_index
from rankfield.index.stores import STORES, open_index

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
]
