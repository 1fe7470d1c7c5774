"""Plain tables: documents, queries and judgments as CSV, TSV, JSON Lines or Parquet."""

__all__: list[str] = []
