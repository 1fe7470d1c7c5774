"""Files of any origin as located tables and values: text, delimited text, JSON, Parquet, Arrow."""

__all__: list[str] = []
