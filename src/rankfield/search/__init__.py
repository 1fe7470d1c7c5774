"""Finding the nearest documents."""

from __future__ import annotations

from rankfield.search.corpus import Corpus
from rankfield.search.exact import exact_search, rank_scores
from rankfield.search.hits import Hits
from rankfield.search.options import SearchOptions
from rankfield.search.resident import ResidentCorpus, ranked_rows
from rankfield.search.screening import PRECISIONS
from rankfield.search.shards import merge_hits, search_on_devices, shard_of, sharded_search

__all__ = [
    "PRECISIONS",
    "Corpus",
    "Hits",
    "ResidentCorpus",
    "SearchOptions",
    "exact_search",
    "merge_hits",
    "rank_scores",
    "ranked_rows",
    "search_on_devices",
    "shard_of",
    "sharded_search",
]
