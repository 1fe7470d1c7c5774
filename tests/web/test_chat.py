"""Whatever an endpoint answers, it is text or a refusal."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from rankfield.judging import Rubric
from rankfield.judging.grades import parse_grade
from rankfield.web import Answer, RequestError
from rankfield.web.chat import ChatAnswer, ChatEndpoint

RUBRIC = Rubric.model_validate(
    {
        "instruction": "Grade.",
        "grades": [{"grade": n, "name": f"name {n}", "meaning": "m"} for n in range(3)],
    }
)
TEXT = st.text(st.characters(), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "type", "text", "grade"])
            | st.sampled_from(["prompt_tokens", "completion_tokens", "finish_reason"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
CHOICES = st.fixed_dictionaries(
    {"message": st.fixed_dictionaries({"content": VALUES}), "finish_reason": VALUES}
)
BODIES = VALUES | st.fixed_dictionaries(
    {"choices": st.lists(CHOICES | VALUES, max_size=2), "usage": VALUES}
)


@given(BODIES)
def test_any_answer_is_a_text_or_a_refusal(body: Any) -> None:
    answer = Answer(200, "application/json", json.dumps(body).encode(), "http://x.example")
    try:
        found = ChatEndpoint.parse(answer)
    except RequestError:
        return
    assert pl.Series([found.text])[0] == found.text  # it can be stored
    assert ChatAnswer.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert parse_grade(found.text, RUBRIC, cut_off=found.is_cut_off) in (None, 0.0, 1.0, 2.0)
    if found.usage is not None:
        assert 0 <= found.usage.prompt_tokens <= 10**12
