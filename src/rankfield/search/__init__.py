"""Finding the nearest documents."""

from __future__ import annotations

from rankfield.search.exact import Hits, exact_search, rank_scores

__all__ = ["Hits", "exact_search", "rank_scores"]
