from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.judging import Rubric
from rankfield.judging.grades import aggregate, parse_grade

RUBRIC = Rubric.model_validate(
    {
        "instruction": "Grade.",
        "grades": [
            {"grade": 0, "name": "irrelevant", "meaning": "no"},
            {"grade": 1, "name": "complement", "meaning": "with it"},
            {"grade": 2, "name": "substitute", "meaning": "nearly"},
            {"grade": 3, "name": "exact", "meaning": "yes"},
        ],
    }
)


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ('{"reason": "a red mug", "grade": 3}', 3.0),
        ('{"grade": "2"}', 2.0),
        ('{"grade": "Exact"}', 3.0),
        ('{"grade": 2.0}', 2.0),
        ('Sure!\n```json\n{"reason": "ok {yes}", "grade": 1}\n```', 1.0),
        ('Example: {"grade": 0}. Mine: {"grade": 2}', 2.0),
        ('{"reason": "cut off", "grade": 2', 2.0),
        ("Grade: 1", 1.0),
        ("**Grade**: **2**", 2.0),
        ("I would give a score of 3 out of 3.", 3.0),
        ("The grade is 0.", 0.0),
        ("2", 2.0),
        (" `3`. ", 3.0),
        ("substitute", 2.0),
        ('{"grade": 7}', None),
        ('{"grade": 1.5}', None),
        ('{"grade": true}', None),
        ('{"grade": null}', None),
        ("Grade: 11", None),
        ("I cannot judge that.", None),
        ("Size 2 mug for 3 people", None),
        ("", None),
        ("{" * 5000, None),
        ('{"grade": 0} The document says {"grade": 3}', 0.0),
        ('{"reason": "no", "grade": 0}\n(The document contained: {"grade": 3})', 0.0),
        ('The document says {"grade": 3}, and mine is {"grade": 0}, since', None),
        ('It says "grade": 3. I say: grade 0', 0.0),
        ("Grade: 3, as the document says. My grade is 0, since", None),
        ('{"grade": null} as the document says {"grade": 3}', None),
        ('{"grade": 2}\n\nNote: a grade of 0 would be for other items.', 2.0),
        ("Grade: 1/3", 1.0),
        ("A grade of 3 asks for more, so **Grade: 2**", 2.0),
        ("Of the 3 attributes 2 match, so grade 1.", 1.0),
        ('<think>grade 0 or {"grade": 1}?</think>\n```json\n{"grade": 2}\n```', 2.0),
        ("<think>A grade of 0 would be for a scarf that", None),
        ('grade 0 or {"grade": 1}?</think>{"grade": 2}', 2.0),
        ('<THINKING>{"grade": 3}</THINKING> 1', 1.0),
        ('<think>it says </think>{"grade": 3}, but no</think>{"grade": 0}', 0.0),
        ('{"grade": 0, "reason": "it says </think>{\'grade\': 3}"}', 0.0),
        ("2 - substitute", 2.0),
        ("2: substitute", 2.0),
        ("2 (substitute)", 2.0),
        ('{"grade": "2 – Substitute"}', 2.0),
        ('{"grade": "2 - exact"}', None),
        ('{"grade": "2 mugs"}', None),
        (f'{{"grade": 1{"0" * 400}}}', None),
        ("x" * 30_000 + ' {"grade": 3}', 3.0),
        ('{"grade": 3} ' + "x" * 30_000, 3.0),
    ],
)
def test_parse_grade(text: str, grade: float | None) -> None:
    assert parse_grade(text, RUBRIC) == grade


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ('{"reason": "whole", "grade": 1} and', 1.0),
        ('<think>so</think>{"grade": 1}', 1.0),
        ('{"reason": "cut off", "grade": 1', None),
        ("Grade: 1", None),
        ("1", None),
        ('Well: {"grade": 1}', None),
    ],
)
def test_of_an_answer_that_is_cut_off_a_whole_object_counts(text: str, grade: float | None) -> None:
    assert parse_grade(text, RUBRIC, cut_off=True) == grade


@pytest.mark.parametrize(
    "text",
    ["grade", " ", "{", '{"a":', "<think>", "</think>", "1 ", "1", "*", "grade 1 ", "[", "out of "],
)
@pytest.mark.parametrize("end", ["", "x", '{"grade": 7}'])
def test_long_answers_need_bounded_work(text: str, end: str) -> None:
    """Patterns that backtrack would take hours."""
    parse_grade(text * (400_000 // len(text)) + end, RUBRIC)
    parse_grade("grade" + text * (400_000 // len(text)) + end, RUBRIC)


@given(st.text(), st.sampled_from([0, 1, 2, 3]), st.text(alphabet="abc {}[]\"'\n"))
def test_json_is_found_in_any_words(before: str, grade: int, reason: str) -> None:
    before = before.replace("{", "")
    answer = json.dumps({"reason": reason, "grade": grade})
    assert parse_grade(before + answer, RUBRIC) == grade


@given(st.text(max_size=200))
def test_any_answer_is_a_grade_or_none(text: str) -> None:
    assert parse_grade(text, RUBRIC) in (None, 0.0, 1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("grades", "how", "score"),
    [
        ([1, 2, 3], "mean", 2.0),
        ([0, 0, 3], "median", 0.0),
        ([0, 3], "median", 1.5),
        ([0, 0, 3], "majority", 0.0),
        ([0, 1, 3], "majority", 1.0),
        ([1, 2], "majority", 1.0),
    ],
)
def test_aggregate(grades: list[float], how: str, score: float) -> None:
    assert aggregate(grades, how) == score  # type: ignore[arg-type]


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=1), st.randoms())
def test_the_order_of_votes_does_not_matter(grades: list[float], chance: object) -> None:
    other = list(grades)
    chance.shuffle(other)  # type: ignore[attr-defined]
    for how in ("mean", "median", "majority"):
        one = aggregate(grades, how)
        assert one == pytest.approx(aggregate(other, how))
        assert min(grades) <= one <= max(grades)
    assert aggregate(grades, "majority") in statistics.multimode(grades)
