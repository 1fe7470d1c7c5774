"""TREC: qrels and runs, and test collections with topics and documents."""

__all__: list[str] = []
