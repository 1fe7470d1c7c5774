"""What columns are taken for."""

from __future__ import annotations

import polars as pl
import pytest

from rankfield.errors import DataError
from rankfield.formats.guesses import equal_weights, guess_fields, guess_modality, guess_scale
from rankfield.schema import Field, ScoreScale


@pytest.mark.parametrize(
    ("name", "values", "modality"),
    [
        ("title", ["red mug", "tan mug"], "text"),
        ("brand", ["Acme", "Zeta"], "text"),
        ("名前", ["赤いマグ", "茶色のマグ"], "text"),
        ("image", ["a", "b"], "image"),
        ("main_photo", ["x/1.JPG", None], "image"),
        ("file", ["x/1.webp", "x/2.jpeg"], "image"),
        ("image_url", ["http://x/1.png", "http://x/2.png"], None),
        ("link", ["see here", "see there"], None),
        ("style_id", ["red mug", "tan mug"], None),
        ("source_split", ["train", "test"], None),
        ("variant", ["MH01", "MH02"], None),
        ("price", ["1.5", "2"], None),
        ("weight", ["1.5", "2"], None),
        ("always", ["the same", "the same"], None),
        ("empty", [None, None], None),
    ],
)
def test_modalities(name: str, values: list[str | None], modality: str | None) -> None:
    frame = pl.DataFrame({name: pl.Series(values, dtype=pl.String)})
    assert guess_modality(frame, name) == modality


@pytest.mark.parametrize(
    ("name", "values", "modality"),
    [
        ("gallery", [["x/1.JPG", None], [], None], "image"),
        ("photos", [["a", "b"], ["c"]], "image"),
        ("main_image", [[b"x"], []], "image"),
        ("images", [["http://x/1.png"], ["http://x/2.png"]], None),
        ("tags", [["red", "mug"], ["tan"]], None),
        ("images", [[1], [2]], None),
        ("images", [[], None], None),
    ],
)
def test_lists(name: str, values: list[list[str | None] | None], modality: str | None) -> None:
    assert guess_modality(pl.DataFrame({name: values}), name) == modality


def test_bytes_are_pictures_and_numbers_are_nothing() -> None:
    frame = pl.DataFrame({"a": [b"x"], "b": [1.0]})
    assert guess_modality(frame, "a") == "image"
    assert guess_modality(frame, "b") is None


def test_a_query_column_leaves_others_out() -> None:
    frame = pl.DataFrame(
        {"query_id": ["a", "b"], "query": ["red mug", "cup"], "kind": ["mug", "cup"]}
    )
    assert guess_fields(frame, "queries", "query_id") == (Field("query", "text", 1.0),)
    assert [f.name for f in guess_fields(frame, "documents", "query_id")] == ["query", "kind"]
    other = frame.rename({"query": "wish"})
    assert [f.name for f in guess_fields(other, "queries", "query_id")] == ["wish", "kind"]


def test_weights() -> None:
    fields = [Field("a", "text"), Field("b", "text"), Field("c", "image")]
    assert [f.weight for f in equal_weights(fields)] == [0.25, 0.25, 0.5]
    assert [f.weight for f in equal_weights(fields[:2])] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("scores", "scale"),
    [
        ([1, 2, 3], ScoreScale(0, 3, 1)),
        ([0, 0.25, 4], ScoreScale(0, 4, 0.25)),
        ([-1, 0, 2], ScoreScale(-1, 2, 2, gain_floor=0)),
        ([-3, -1], ScoreScale(-3, 0, 1, gain_floor=0)),
        ([0, 0], ScoreScale(0, 0, 1)),
    ],
)
def test_scales(scores: list[float], scale: ScoreScale) -> None:
    assert guess_scale(pl.Series("score", scores, dtype=pl.Float64)) == scale
    given = guess_scale(pl.Series(scores, dtype=pl.Float64), minimum=-9, maximum=9, relevant=5)
    assert given == ScoreScale(-9, 9, 5)


def test_a_minimum_that_is_given_says_where_gains_begin() -> None:
    scores = pl.Series([-2.0, 0.0, 3.0])
    assert guess_scale(scores, minimum=-2) == ScoreScale(-2, 3, 3)
    assert guess_scale(scores, minimum=-2).floor == -2
    assert guess_scale(scores).floor == 0
    assert guess_scale(pl.Series([-3.0, -1.0]), minimum=-3) == ScoreScale(-3, 0, -1)
    assert guess_scale(pl.Series([0.0, 0.0]), maximum=4) == ScoreScale(0, 4, 4)


def test_what_is_relevant_lies_on_the_scale() -> None:
    scores = pl.Series([0.0, 2.0])
    assert guess_scale(scores, relevant=4, maximum=5).relevant == 4
    for relevant in (2.5, -1.0):
        with pytest.raises(DataError, match=r"outside the score scale, 0 to 2.*--score-max"):
            guess_scale(scores, relevant=relevant)
