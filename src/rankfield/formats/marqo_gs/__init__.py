"""Marqo-GS: its archive, and its form on the Hugging Face Hub."""

__all__: list[str] = []
