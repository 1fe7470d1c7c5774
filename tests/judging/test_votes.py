from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rankfield.errors import DataError
from rankfield.judging.rubric import RUBRIC_TEMPLATE, Rubric, load_rubric
from rankfield.judging.votes import checked_answer, read_vote
from rankfield.web import Journal

ANSWER: dict[str, Any] = {"text": '{"grade": 2}', "usage": [3, 4], "finish": "stop"}


@pytest.fixture
def rubric(tmp_path: Path) -> Rubric:
    path = tmp_path / "rubric.toml"
    path.write_text(RUBRIC_TEMPLATE, "utf-8")
    return load_rubric(path)


@pytest.mark.parametrize(
    "value",
    [
        *(7, "text", [], [1], {}, {"refused": None}, {"refused": 1}),
        *(ANSWER | {"text": None}, ANSWER | {"finish": 1}, ANSWER | {"usage": [1]}),
        *(ANSWER | {"usage": [1, 2.5]}, ANSWER | {"usage": [-1, 2]}, ANSWER | {"usage": 7}),
        ANSWER | {"max_tokens": "9"},
        ANSWER | {"text": "\ud800"},
    ],
)
def test_a_malformed_answer_is_named(tmp_path: Path, rubric: Rubric, value: object) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.put("good", ANSWER)
        journal.put("bad", value)
        assert read_vote(iter([journal.read("good", checked_answer)]), rubric).grade == 2
        with pytest.raises(DataError, match=r"journal.jsonl, row 2: the value in the line is"):
            journal.read("bad", checked_answer)
