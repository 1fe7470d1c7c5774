"""Names and colours that the page, its tables and its figures share."""

from __future__ import annotations

import math

__all__ = [
    "SPLIT_MEANINGS",
    "SPLIT_TITLES",
    "SPLIT_WHERE",
    "decimal",
    "series_names",
    "signed_percent",
]

SPLIT_TITLES = {
    "in_domain": "In domain",
    "novel_query": "Novel query",
    "novel_document": "Novel document",
    "zero_shot": "Zero-shot",
    "all": "All judgments",
}
SPLIT_MEANINGS = {
    "in_domain": "queries and documents seen in training",
    "novel_query": "new queries, documents seen in training",
    "novel_document": "queries seen in training, new documents",
    "zero_shot": "new queries and new documents",
    "all": "every judged query over every document",
}
SPLIT_WHERE = {
    "in_domain": "in domain",
    "novel_query": "on novel queries",
    "novel_document": "on novel documents",
    "zero_shot": "on zero-shot",
    "all": "over all judgments",
}

_MIDDLE = ("teal", "violet", "pink", "olive")


def series_names(count: int) -> list[str]:
    """Name the colour of each of `count` models: slate first, accent last, others between.

    The colours stay apart under the common colour-vision deficiencies; `page.css` defines them.
    """
    if count <= 1:
        return ["accent"] * count
    return ["slate", *(_MIDDLE[i % len(_MIDDLE)] for i in range(count - 2)), "accent"]


def decimal(value: float | None, digits: int = 3) -> str:
    """Write a number with `digits` decimals; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def signed_percent(ratio: float | None) -> str:
    """Write 0.312 as "+31.2 %", with a true minus sign; a dash where there is none."""
    if ratio is None or not math.isfinite(ratio):
        return "–"
    text = f"{abs(ratio) * 100:.1f}\N{NO-BREAK SPACE}%"
    if text.startswith("0.0\N{NO-BREAK SPACE}"):
        return "±" + text
    return ("+" if ratio > 0 else "−") + text
