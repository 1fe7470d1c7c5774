"""Folders of the library `datasets`."""

__all__: list[str] = []
