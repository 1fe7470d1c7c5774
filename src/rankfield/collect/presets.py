"""What is known of the usual search APIs: the defaults of `[search]` by its kind."""

from __future__ import annotations

from typing import Any

__all__ = ["PRESETS"]

PRESETS: dict[str, dict[str, Any]] = {
    "elasticsearch": {
        "method": "POST",
        # the same copies of the shards for every page, so that equal scores keep their order
        "params": {"preference": "rankfield"},
        "body": {
            "query": {"multi_match": {"query": "{query}", "fields": "{text_fields}"}},
            "from": "{start}",
            "size": "{size}",
        },
        "page_size": 100,
        "key_header": "authorization",
        "key_prefix": "ApiKey ",
        "mapping": {
            "results": "hits.hits",
            "doc_id": "_id",
            "failed_if": ["timed_out", "_shards.failed"],
        },
    },
    "serpapi": {
        "url": "https://serpapi.com/search.json",
        "params": {"engine": "google_shopping", "q": "{query}", "start": "{start}"},
        "key_param": "api_key",
        "mapping": {
            "results": "shopping_results",
            "doc_id": "product_id",
            "fields": {
                "title": {"path": "title", "modality": "text", "weight": 0.5},
                "image": {
                    "path": ["thumbnail", "serpapi_thumbnail"],
                    "modality": "image",
                    "weight": 0.5,
                },
            },
            "columns": {
                "price": "extracted_price",
                "seller": "source",
                "link": ["product_link", "link"],
                "rating": "rating",
                "reviews": "reviews",
            },
            "error": "error",
            "no_results": "hasn't returned any results",
        },
    },
}
"""Kind → values of `[search]`; its `params` and `mapping` are laid over these key by key."""
