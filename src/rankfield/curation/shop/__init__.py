"""The parts of the sample shop: vocabulary, catalogue, titles, photos, queries, relevance."""

from __future__ import annotations

__all__: list[str] = []
