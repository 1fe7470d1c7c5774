from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rankfield.collect.mapping import Mapping, value_at
from rankfield.web import RequestError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", {"a": {"b": [1, {"c.d": 2}]}}),
        ("a.b", [1, {"c.d": 2}]),
        ("a.b[0]", 1),
        ('a.b[1]."c.d"', 2),
        ("a.b[7]", None),
        ("a.x.y", None),
        ("a.b.c", None),
    ],
)
def test_value_at(path: str, value: Any) -> None:
    assert value_at({"a": {"b": [1, {"c.d": 2}]}}, path) == value


@pytest.mark.parametrize("path", ["a..b", ".a", "a.", "a[", "a[x]", 'a."b', "[-1]"])
def test_a_bad_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        value_at({}, path)
    with pytest.raises(ValidationError, match="is not a path"):
        Mapping.model_validate({"fields": {"title": {"path": path}}})


def mapping(**more: Any) -> Mapping:
    return Mapping.model_validate({"results": "items", "fields": {"title": {"path": "t"}}} | more)


def test_results_are_read() -> None:
    found = mapping(
        doc_id=["sku", "id"],
        fields={
            "title": {"path": ["name", "t"]},
            "image": {"path": "pics", "modality": "image"},
        },
        columns={"price": "p.amount", "new": "is_new", "brand": "b"},
    ).read(
        {
            "items": [
                {"id": 7, "t": " Red\n mug ", "pics": ["a.png", "b.png"], "p": {"amount": 3}},
                {"sku": "x", "name": "half \ud800 pair", "is_new": True, "b": ["B"], "pics": []},
                {"t": None, "sku": ""},
                {"t": None},
            ]
        }
    )
    assert [f.doc_id for f in found[:2]] == ["7", "x"]
    assert found[2].doc_id == found[3].doc_id  # the same contents, the same id
    assert found[0].fields == {"title": "Red mug", "image": "a.png"}
    assert found[1].fields == {"title": "half pair", "image": None}
    assert found[0].columns == {"price": 3.0, "new": None, "brand": None}
    assert found[1].columns == {"price": None, "new": "true", "brand": "B"}


@pytest.mark.parametrize(
    ("answer", "message", "passing"),
    [
        ({"hits": []}, "expected a list at 'items' in the answer, found NoneType", False),
        ([1], "found NoneType", False),
        ({"items": {"a": 1}}, "found dict", False),
        ({"error": {"message": "no credit"}}, "the answer says: no credit", False),
        ({"items": [], "partial": True}, "incomplete: partial is True", True),
        ({"items": [], "shards": {"failed": 2}}, "incomplete: shards.failed is 2", True),
    ],
)
def test_answers_that_are_none(answer: Any, message: str, passing: bool) -> None:
    read = mapping(error="error.message", failed_if=["partial", "shards.failed"]).read
    with pytest.raises(RequestError) as raised:
        read(answer)
    assert message in str(raised.value)
    assert raised.value.passing is passing


def test_nothing_found_is_no_error() -> None:
    read = mapping(error="error", no_results="hasn't returned any results").read
    assert read({"error": "Google hasn't returned any results for this query."}) == []


@given(JSON)
def test_any_answer_is_results_or_a_refusal(answer: Any) -> None:
    try:
        found = mapping(results="", error="e", doc_id="i").read(answer)
    except RequestError:
        return
    assert len(found) == len(answer)
    assert all(one.doc_id and one.doc_id == one.doc_id.strip() for one in found)
