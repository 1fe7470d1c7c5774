"""Judgments and ranked lists from files of any usual form."""

__all__: list[str] = []
