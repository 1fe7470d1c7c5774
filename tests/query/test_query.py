"""The query object: its forms in JSON, what is refused, and the way back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rankfield.errors import InputError
from rankfield.query import Boost, Excluded, Hybrid, Mmr, Part, Query, Weights
from rankfield.query.images import MAX_IMAGE, data_uri

PNG = b"\x89PNG\r\n\x1a\n...."
WHOLE = {
    "query": [
        {"text": "red dress", "weight": 1},
        {"text": "dots", "weight": -0.5},
        {"image": data_uri(PNG), "weight": 0.6},
        {"like": "doc7", "weight": 0.3},
    ],
    "filter": "price < 50 and brand in ('Acme')",
    "hybrid": {
        "text": "red dress", "fields": ["title^2"], "fusion": "rrf", "k": 60,
        "weights": {"vector": 1, "text": 0.5}, "window": 200,
    },
    "boost": [{"field": "sales", "scale": "log1p", "weight": 0.1}],
    "mmr": {"diversity": 0.3, "candidates": 100},
    "cutoff": {"min_similarity": 0.2},
    "limit": 20, "cursor": None, "exact": False, "explain": True,
}  # fmt: skip


def test_the_whole_form() -> None:
    query = Query.from_json(json.dumps(WHOLE))
    assert query == Query(
        parts=(
            Part(text="red dress"), Part(text="dots", weight=-0.5),
            Part(image=PNG, weight=0.6), Part(like="doc7", weight=0.3),
        ),
        filter="price < 50 and brand in ('Acme')",
        hybrid=Hybrid(text="red dress", fields=("title^2",), weights=Weights(text=0.5)),
        boost=(Boost(field="sales", scale="log1p", weight=0.1),),
        mmr=Mmr(diversity=0.3), cutoff=query.cutoff, limit=20, explain=True,
    )  # fmt: skip
    assert query.cutoff is not None
    assert query.cutoff.min_similarity == 0.2
    assert Query.of(query.to_json()) == query
    assert Query.from_json(json.dumps(query.to_json()).encode()) == query
    assert query.hybrid is not None
    assert query.hybrid.field_weights() == {"title": 2.0}
    assert (query.candidates, query.depth) == (200, 100)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("red", [Part(text="red")]),
        ({"red": 1, "blue": -0.5}, [Part(text="red"), Part(text="blue", weight=-0.5)]),
        (["red", {"like": "d1"}], [Part(text="red"), Part(like="d1")]),
        ({"query": "red", "limit": 3}, [Part(text="red")]),
        ({"query": {"red": 2}}, [Part(text="red", weight=2.0)]),
        ([{"text": "red", "image": PNG}], [Part(text="red", image=PNG)]),
        (
            [{"fields": {"query": "red", "photo": data_uri(PNG)}}],
            [Part(fields=(("query", "red"), ("photo", PNG)))],
        ),
    ],
)
def test_shorter_forms(value: Any, parts: list[Part]) -> None:
    query = Query.of(value)
    assert list(query.parts) == parts
    assert Query.of(query.to_json()) == query


def test_it_is_frozen_and_can_be_a_key() -> None:
    query = Query.of(WHOLE)
    assert {query: 1}[Query.of(WHOLE)] == 1
    with pytest.raises(ValidationError):
        query.limit = 3  # type: ignore[misc]
    assert Query.of(query) is query
    assert Query.of(query, limit=5).limit == 5


_MANY = [{"text": "a"}] * 33


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"query": "x", "limt": 3}, "query, limt: unknown key. Did you mean 'limit'?"),
        ({"limit": 3}, "query, query: this key is missing"),
        ({"query": []}, "at least 1"),
        ({"query": _MANY}, "at most 32"),
        (5, "query, query: "),
        (None, "query, query: "),
        ({"query": {"red": "1"}}, "query.0.weight: input should be a valid number, found '1'"),
        ({"query": {"red": True}}, "query.0.weight: "),
        ([{"text": "a", "weight": float("nan")}], "query.0.weight: input should be a finite"),
        ([{"text": "a", "weight": 1e7}], "query.0.weight: input should be less than or equal"),
        ([{"txt": "a"}], "query.0.txt: unknown key"),
        ([{}], "query.0: expected one of text and image, fields, or like; found none"),
        ([{"text": "a", "like": "b"}], "found several"),
        ([{"text": " \u200b"}], "found nothing that can be seen"),
        ([{"text": "a" * 10_001}], "at most 10000 characters"),
        ([{"text": "\ud83d"}], "unable to parse raw data as a unicode string"),
        ([{"image": "https://x/a.png"}], "images are never fetched from an address"),
        ([{"image": "shoe.jpg"}], "paths are for the command line"),
        ([{"image": "data:image/png;base64,%%%"}], "expected an image in base64"),
        ([{"image": b""}], "found no bytes"),
        ([{"image": b"x" * (MAX_IMAGE + 1)}], "at most 20,971,520 bytes"),
        ([{"fields": {}}], "query.0.fields: "),
        ({"query": "x", "filter": "price <"}, "filter, character 8"),
        ({"query": "x", "boost": [{"field": "a", "scale": "cube"}]}, "boost.0.scale: "),
        ({"query": "x", "boost": [{"field": "a", "pivot": 3}]}, "pivot has no effect on the scale"),
        ({"query": "x", "boost": [{"feld": "a"}]}, "Did you mean 'field'?"),
        ({"query": "x", "hybrid": {"fields": ["title^x"]}}, "expected NAME or NAME^WEIGHT"),
        ({"query": "x", "hybrid": {"fusion": "sum"}}, "hybrid.fusion: "),
        ({"query": "x", "hybrid": {"weights": {"vector": -1.0}}}, "hybrid.weights.vector: "),
        ({"query": "x", "hybrid": {}, "window": 5}, "set hybrid.window"),
        ({"query": "x", "mmr": {"diversity": 1.5}}, "mmr.diversity: "),
        ({"query": "x", "mmr": {"diversity": 0.5, "candidates": 10}}, "expected more mmr.candida"),
        ({"query": "x", "exclude": [{"text": "y"}]}, "exclude.0.above: this key is missing"),
        ({"query": "x", "cutoff": {"min_similarity": 2.0}}, "cutoff.min_similarity: "),
        ({"query": "x", "limit": 0}, "query, limit: "),
        ({"query": "x", "limit": 2000}, "offset + limit is 2000, beyond the window of 1000"),
        ({"query": "x", "offset": 995}, "offset + limit is 1005, beyond the window"),
        ({"query": "x", "hybrid": {}, "limit": 300}, "set hybrid.window larger"),
        ({"query": "x", "limit": 10**30}, "query, limit: "),
        ({"query": "x", "cursor": "abc", "offset": 3}, "expected a cursor or an offset"),
        ({"query": "x", "limit": 2.5}, "query, limit: "),
        ({"query": "x", "explain": "yes"}, "query, explain: "),
        ({"query": "x", "facets": ["a"] * 40}, "query, facets: "),
    ],
)  # fmt: skip
def test_what_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        Query.of(value)
    assert problem in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        ('{"query": "x", "limit": NaN}', "NaN is no number"),
        ('{"query": {"x": 1e999}}', "too large"),
        ("[" * 200 + "]" * 200, "nested deeper"),
        ('{"query": "\\ud83d"}', "half of a surrogate pair"),
    ],
)
def test_what_is_no_json(text: str | bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        Query.from_json(text)


def test_the_order_does_not_depend_on_the_page() -> None:
    first = Query.of("red", limit=5, explain=True, facets=["brand"], now=datetime.now(UTC))
    assert first.fingerprint() == Query.of("red", offset=5, count=True).fingerprint()
    others = [
        Query.of("blue"), Query.of({"red": 2}), Query.of("red", filter="a = 1"),
        Query.of("red", exclude=[{"like": "d", "above": 0.5}]), Query.of("red", window=50),
        Query.of([{"image": PNG}]), Query.of([{"image": PNG + b"."}]),
    ]  # fmt: skip
    assert len({query.fingerprint() for query in (first, *others)}) == len(others) + 1


_TEXT = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() and text.strip())
_WEIGHT = st.floats(-1e6, 1e6)
_PART = st.one_of(
    st.builds(Part, text=_TEXT, weight=_WEIGHT),
    st.builds(Part, image=st.binary(min_size=1, max_size=30), weight=_WEIGHT),
    st.builds(Part, like=_TEXT, weight=_WEIGHT),
    st.builds(
        lambda names, value: Part(fields=tuple((name, value) for name in names)),
        st.lists(_TEXT, min_size=1, max_size=3, unique=True),
        st.one_of(_TEXT, st.binary(min_size=1, max_size=9)),
    ),
)


@settings(max_examples=50)
@given(
    st.lists(_PART, min_size=1, max_size=4),
    st.lists(st.builds(Excluded, text=_TEXT, above=st.floats(-1, 1)), max_size=2),
    st.lists(
        st.builds(Boost, field=_TEXT, weight=_WEIGHT, scale=st.sampled_from(["linear", "sqrt"])),
        max_size=2,
    ),
)
def test_json_and_back(parts: list[Part], excluded: list[Excluded], boosts: list[Boost]) -> None:
    query = Query(parts=tuple(parts), exclude=tuple(excluded), boost=tuple(boosts))
    assert Query.from_json(json.dumps(query.to_json())) == query


@settings(max_examples=150)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from([*Query.model_fields, "query", "text", "x"]), inner),
        ),
        max_leaves=10,
    )
)
def test_any_value_is_read_or_refused(value: Any) -> None:
    try:
        query = Query.of(value)
    except InputError:
        return
    assert Query.of(query.to_json()) == query
