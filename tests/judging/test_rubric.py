"""Rubrics that are wrong name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankfield.errors import InputError
from rankfield.judging import load_rubric
from rankfield.judging.rubric import RUBRIC_TEMPLATE


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "grade = 3\nname",
            "grade = 3\nnam",
            "grades.0.nam: unknown key (1 more). Did you mean 'name'?",
        ),
        ('name = "exact"', 'name = "exact"\nnote = "x"', "grades.0.note: unknown key"),
        ("grade = 2\n", "grade = 3\n", "the grade 3 is duplicated"),
        ("grade = 2\n", 'grade = "two"\n', "grades.1.grade: input should be a valid number"),
        ('name = "substitute"', 'name = "Exact"', "the name exact is duplicated"),
        ("grade = 3\nreason", "grade = 5\nreason", "example 1 has the grade 5, which is none of"),
        (
            "instruction",
            "instructions",
            "instructions: unknown key (1 more). Did you mean 'instruction'?",
        ),
        ("[[grades]]", "[[grades]", "not valid TOML"),
        ("grade = 1\n", "grade = nan\n", "should be a finite number"),
    ],
)
def test_a_bad_rubric_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "rubric.toml"
    assert old in RUBRIC_TEMPLATE
    path.write_text(RUBRIC_TEMPLATE.replace(old, new, 1))
    with pytest.raises(InputError, match=r"rubric\.toml") as raised:
        load_rubric(path)
    assert message in str(raised.value)
    assert raised.value.remedy
