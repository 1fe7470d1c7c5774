"""Finding the nearest documents."""

from __future__ import annotations

from rankfield.search.exact import exact_search, rank_scores
from rankfield.search.hits import Hits

__all__ = ["Hits", "exact_search", "rank_scores"]
