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

_LONGEST = 20_000
"""Characters of an answer that are looked at: half at its beginning, half at its end."""
_REASONING = r"(?:think|thinking|thought|reasoning)>"
_REASONING_ENDS = re.compile(f"</{_REASONING}", re.IGNORECASE)
_REASONING_BEGINS = re.compile(f"<{_REASONING}", re.IGNORECASE)
_BEGINNING = re.compile(r"\s*(?:```\w*\s*)?")
_END = re.compile(r"[\s`*.]*")
_SIGNS = r"[\"'*_ ]{0,20}"
_LABELLED = re.compile(
    rf"\b(?:grade|score|rating|relevance)\b{_SIGNS}(?:(?:is|of|[:=]){_SIGNS})?([-+]?\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
_LAST = re.compile(r"[\s\"'*_`).\]}]*(?:(?:out of|/)\s{0,5}\d+[\s\"'*_`).\]}]*)?")
_ALONE = re.compile(r"[\s\"'*`(]*([-+]?\d+(?:\.\d+)?)[\s\"'*`).]*")
_AROUND_A_NAME = " \t\r\n\"'*.`"
_NUMBER_AND_NAME = re.compile(
    r"([-+]?\d+(?:\.\d+)?)\s{0,20}[-–—:=,(]?\s{0,20}([^\d\s].*)", re.DOTALL
)


def parse_grade(text: str, rubric: Rubric, *, cut_off: bool = False) -> float | None:
    """Return the grade in an answer, None if there is none or it is not one of the rubric's.

    What a model thinks aloud, in ``<think>`` and the like, is no answer, closed or not. Of the
    rest, in this order:

    - "grade" of a JSON object: the one that the answer begins with, else the one it ends with, else
      the one that all others agree with (an answer may quote a document that holds another);
    - the number after the word grade, score, rating or relevance: the one that the answer ends
      with, else the one that all others agree with;
    - a number, the name of a grade, or both that is the whole answer.

    cut_off: the model was stopped; then only a whole JSON object at the beginning counts.
    """
    for answer in (text, _without_reasoning(text)):
        for grade in _first_object(answer):
            return _of_rubric(grade, rubric)
    return None if cut_off else _of_whole(answer, rubric)


def _first_object(text: str) -> list[Any]:
    """Return "grade" of the JSON object that an answer begins with, if there is one."""
    begin = _BEGINNING.match(text)
    place = begin.end() if begin else 0
    if not text.startswith("{", place):
        return []
    try:
        value, _ = json.JSONDecoder().raw_decode(text, place)
    except (ValueError, RecursionError):
        return []
    return [value["grade"]] if "grade" in value else []


def _without_reasoning(text: str) -> str:
    """Return an answer without what the model thinks aloud before it, finished or not."""
    closed = [match.end() for match in _REASONING_ENDS.finditer(text)]
    text = text[closed[-1] :] if closed else text
    opened = _REASONING_BEGINS.search(text)
    return text[: opened.start()] if opened else text


def _of_whole(text: str, rubric: Rubric) -> float | None:
    """Return the grade of an answer that does not begin with an object."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"
    if found := list(_grades_in_json(text)):
        ends = _END.fullmatch(text, found[-1][1])
        return _chosen([_of_rubric(value, rubric) for value, _ in found], ends)
    if labelled := list(_LABELLED.finditer(text)):
        ends = _LAST.fullmatch(text, labelled[-1].end())
        return _chosen([_of_rubric(match[1], rubric) for match in labelled], ends)
    if alone := _ALONE.fullmatch(text):
        return _of_rubric(alone[1], rubric)
    return _of_rubric(text, rubric)


def _chosen(grades: list[float | None], ends: re.Match[str] | None) -> float | None:
    """Return the last grade if it ends the answer, else the one that all are."""
    return grades[-1] if ends or len(set(grades)) == 1 else None


def _grades_in_json(text: str) -> Iterator[tuple[Any, int]]:
    """Yield "grade" of each JSON object that has one, and where the object ends."""
    decoder = json.JSONDecoder()
    place = text.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError:
            end = place + 1
        except RecursionError:
            return  # no answer is nested like that, and each { in it would be tried
        else:
            if isinstance(value, dict) and "grade" in value:
                yield value["grade"], end
        place = text.find("{", end)


def _of_rubric(value: Any, rubric: Rubric) -> float | None:
    if isinstance(value, str):
        return _of_words(value.strip(_AROUND_A_NAME), rubric)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return next((g for g in rubric.values if g == value), None)


def _of_words(text: str, rubric: Rubric) -> float | None:
    """Return the grade of a name, a number, or both, as "2 - exact"."""
    names = {grade.name.casefold(): grade.grade for grade in rubric.grades}
    if text.casefold() in names:
        return names[text.casefold()]
    both = _NUMBER_AND_NAME.fullmatch(text)
    name = both[2].strip(f"{_AROUND_A_NAME})").casefold() if both else ""
    if both and name not in names:
        return None
    try:
        number = float(both[1] if both else text)
    except ValueError:
        return None
    grade = next((g for g in rubric.values if g == number), None)
    return grade if not both or names[name] == grade else None


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
