"""Names and colours that the page, its tables and its figures share."""

from __future__ import annotations

import math

__all__ = [
    "SPLIT_MEANINGS",
    "SPLIT_TITLES",
    "SPLIT_WHERE",
    "counted",
    "decimal",
    "p_value",
    "percent",
    "series_names",
    "signed",
    "signed_percent",
    "split_title",
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


def split_title(split: str) -> str:
    """Return the title of a split; of one with a name of its own, the name."""
    return SPLIT_TITLES.get(split, split)


_MIDDLE = ("teal", "violet", "pink", "olive")


def series_names(count: int) -> list[str]:
    """Name the colour of each of `count` models: slate first, accent last, others between.

    The colours stay apart under the common colour-vision deficiencies; `page.css` defines them.
    """
    if count <= 1:
        return ["accent"] * count
    return ["slate", *(_MIDDLE[i % len(_MIDDLE)] for i in range(count - 2)), "accent"]


def counted(count: int, thing: str, several: str = "") -> str:
    """Write "1 query" or "1,200 queries"; without `several` the plural ends in "s"."""
    return f"{count:,} {thing if count == 1 else several or thing + 's'}"


def decimal(value: float | None, digits: int = 3) -> str:
    """Write a number with `digits` decimals; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """Write a difference with its sign, a true minus; a dash where there is none."""
    text = decimal(None if value is None else abs(value), digits)
    if value is None or text == "–":
        return text
    return f"{'±' if float(text) == 0 else '+' if value > 0 else '−'}{text}"


def percent(ratio: float, digits: int = 1) -> str:
    """Write 0.312 as "31.2 %", with a blank that does not break; from 100 % on without decimals."""
    return f"{100 * ratio:,.{0 if ratio >= 1 else digits}f}\N{NO-BREAK SPACE}%"


def p_value(value: float | None) -> str:
    """Write "p = 0.012", "p < 0.001", or nothing where there is no test."""
    if value is None:
        return ""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def signed_percent(ratio: float | None) -> str:
    """Write 0.312 as "+31.2 %", with a true minus sign; a dash where there is none."""
    if ratio is None or not math.isfinite(ratio):
        return "–"
    text = percent(abs(ratio))
    if text.startswith("0.0\N{NO-BREAK SPACE}"):
        return "±" + text
    return ("+" if ratio > 0 else "−") + text
