"""The training data of sentence-transformers."""

__all__: list[str] = []
