"""Filters: their text, their tree, and what compiles it."""

from __future__ import annotations

from rankfield.query.filters.check import check_filter
from rankfield.query.filters.expression import filter_expression, filter_mask
from rankfield.query.filters.parse import parse_filter
from rankfield.query.filters.tree import Condition, filter_text

__all__ = [
    "Condition",
    "check_filter",
    "filter_expression",
    "filter_mask",
    "filter_text",
    "parse_filter",
]
