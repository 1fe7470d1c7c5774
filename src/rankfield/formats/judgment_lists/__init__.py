"""Judgment lists of search engines: Elasticsearch, OpenSearch, Quepid."""

__all__: list[str] = []
