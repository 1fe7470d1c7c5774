"""Queries of several parts over an index: filters, fusion, boosts, diversity, explanations."""

from __future__ import annotations

__all__: list[str] = []
