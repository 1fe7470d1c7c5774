"""The grade in what a model wrote, and the score of several votes."""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from rankfield.judging.rubric import Rubric

__all__ = ["Aggregate", "aggregate", "parse_grade"]

Aggregate = Literal["mean", "median", "majority"]

_LABELLED = re.compile(
    r"\b(?:grade|score|rating|relevance)\b[\"'*_ ]*(?:is|of|[:=])?[\"'*_ ]*([-+]?\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
_LONGEST = 20_000
"""Characters of an answer that are looked at: the grade is at its end."""

_ALONE = re.compile(r"[\s\"'*`(]*([-+]?\d+(?:\.\d+)?)[\s\"'*`).]*")


def parse_grade(text: str, rubric: Rubric) -> float | None:
    """Return the grade in an answer, None if there is none or it is not one of the rubric's.

    In this order: "grade" of the last JSON object that has one (a number, or the name of a grade);
    the last number after the word grade, score, rating or relevance; a number that is the whole
    answer; the name of a grade that is the whole answer.
    """
    text = text[-_LONGEST:]
    for value in reversed(list(_grades_in_json(text))):
        return _of_rubric(value, rubric)
    if labelled := _LABELLED.findall(text):
        return _of_rubric(labelled[-1], rubric)
    if alone := _ALONE.fullmatch(text):
        return _of_rubric(alone[1], rubric)
    return _of_rubric(text, rubric)


def _grades_in_json(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    place = text.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            if isinstance(value, dict) and "grade" in value:
                yield value["grade"]
        place = text.find("{", end)


def _of_rubric(value: Any, rubric: Rubric) -> float | None:
    if isinstance(value, str):
        name = value.strip(" \t\r\n\"'*.`").casefold()
        for grade in rubric.grades:
            if grade.name.casefold() == name:
                return grade.grade
        try:
            value = float(name)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if float(value) in rubric.values else None


def aggregate(grades: Sequence[float], how: Aggregate) -> float:
    """Return the score of the votes g_1 … g_n, n ≥ 1.

    "mean": Σ g / n. "median": the middle grade, of two middle ones the mean. "majority": the grade
    with the most votes; of several with equally many the one next to the mean, the lower first.
    """
    mean = statistics.fmean(grades)
    if how == "mean":
        return mean
    if how == "median":
        return float(statistics.median(grades))
    counts = Counter(grades)
    most = max(counts.values())
    return min((abs(g - mean), g) for g, count in counts.items() if count == most)[1]
