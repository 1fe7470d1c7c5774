"""Parts of a query as words of a command line."""

from __future__ import annotations

from typing import Any

import pytest

from rankfield.errors import InputError
from rankfield.query import boost_of_word, excluded_of_word, parts_of_words


def read(path: str) -> bytes:
    return path.encode()


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("red dress", {"text": "red dress"}),
        ("red dress:1", {"text": "red dress", "weight": 1.0}),
        ("polka dots:-0.5", {"text": "polka dots", "weight": -0.5}),
        ("dots:+.5e1", {"text": "dots", "weight": 5.0}),
        ("image:shoe.jpg:0.6", {"image": b"shoe.jpg", "weight": 0.6}),
        (r"image:C:\shoe.jpg", {"image": rb"C:\shoe.jpg"}),
        ("like:ID:0.3", {"like": "ID", "weight": 0.3}),
        ("like:sku:7:1", {"like": "sku:7", "weight": 1.0}),
        ("text:image: a book:2", {"text": "image: a book", "weight": 2.0}),
        ("screen 16:9:1", {"text": "screen 16:9", "weight": 1.0}),
        ("note: red", {"text": "note: red"}),
        ("red:nan", {"text": "red:nan"}),
        ("field:title=red = blue:2", {"fields": {"title": "red = blue"}, "weight": 2.0}),
    ],
)
def test_words(word: str, part: dict[str, Any]) -> None:
    assert parts_of_words([word], read) == [part]


@pytest.mark.parametrize("word", ["", " ", ":1", "image:", "like::2", "field:x", "field:=a"])
def test_words_without_content(word: str) -> None:
    with pytest.raises(InputError, match=r"expected WORDS\[:WEIGHT\], image:PATH"):
        parts_of_words(["red", word], read)


def test_what_is_excluded() -> None:
    assert excluded_of_word("polka dots:0.4", read) == {"text": "polka dots", "above": 0.4}
    assert excluded_of_word("like:d1:0.9", read) == {"like": "d1", "above": 0.9}
    with pytest.raises(InputError, match="expected a similarity after the last colon"):
        excluded_of_word("polka dots", read)


@pytest.mark.parametrize(
    ("word", "boost"),
    [
        ("sales", {"field": "sales"}),
        ("sales:0.1", {"field": "sales", "weight": 0.1}),
        ("sales:log1p", {"field": "sales", "scale": "log1p"}),
        ("sales:log1p:-0.1", {"field": "sales", "scale": "log1p", "weight": -0.1}),
        (
            "added:reciprocal_age(30):0.2",
            {"field": "added", "scale": "reciprocal_age", "pivot": 30.0, "weight": 0.2},
        ),
        ("a:b c:sqrt", {"field": "a:b c", "scale": "sqrt"}),
    ],
)
def test_boosts(word: str, boost: dict[str, Any]) -> None:
    assert boost_of_word(word) == boost


@pytest.mark.parametrize("word", ["", "a:sqrt(1e-):2"])
def test_what_is_no_boost(word: str) -> None:
    with pytest.raises(InputError, match="boost"):
        boost_of_word(word)
