from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.errors import RecipeError
from rankfield.schema import ScoreScale
from rankfield.weighting import (
    WEIGHT_FUNCTIONS,
    discount_weights,
    pair_weights,
    score_weights,
)

LIST = ScoreScale(1, 100, 1)
GRADES = ScoreScale(0, 3, 1)


def one(name: str, score: float, scale: ScoreScale = LIST, **parameters: object) -> float:
    return float(score_weights([score], scale, name, **parameters)[0])


def test_values_by_hand() -> None:
    assert one("constant", 1) == 1
    assert one("linear", 25) == pytest.approx(0.25)
    assert score_weights([-1, 1, 3], ScoreScale(-1, 3, 0), "linear").tolist() == [0, 0.5, 1]
    assert one("inverse", 100) == 1
    assert one("inverse", 91) == pytest.approx(1 / 10)
    assert one("inverse", 1, GRADES) == pytest.approx(1 / 3)
    assert one("inverse", 0.5, ScoreScale(0, 1, 0.1), step=0.25) == pytest.approx(1 / 3)
    assert one("inverse_sqrt", 97) == pytest.approx(0.5)
    assert one("log", 98) == pytest.approx(1 / 2)
    assert one("log", 99) == pytest.approx(1 / math.log2(3))
    assert one("exponential", 1) == pytest.approx(math.exp(-1 / 0.2))
    assert one("exponential", 50.5, temperature=0.5) == pytest.approx(math.exp(-1))
    points = [[1, 0.0], [2, 0.5], [3, 1.0]]
    assert one("piecewise", 2.5, GRADES, points=points) == pytest.approx(0.75)
    assert score_weights([0, 3], GRADES, "piecewise", points=points).tolist() == [0, 1]


@pytest.mark.parametrize("name", [n for n in WEIGHT_FUNCTIONS if n != "piecewise"])
def test_a_score_of_no_gain_on_a_scale_with_negative_ones_is_no_positive(name: str) -> None:
    scores = [-2.0, -0.5, 0.0, 1.0, 3.0]
    found = score_weights(scores, ScoreScale(-2, 3, 1, gain_floor=0), name)
    assert (found > 0).tolist() == [False, False, False, True, True]
    # A minimum that is stated says that gains begin there.
    stated = score_weights(scores, ScoreScale(-2, 3, 1), name)
    assert (stated[1:] > 0).all()
    # On a scale from 0 the functions have their formulas alone.
    plain = score_weights([0.0, 3.0], ScoreScale(0, 3, 1), name)
    assert (plain[0] > 0) == (name != "linear")


def test_weights_that_are_given_for_each_score_stay() -> None:
    scale = ScoreScale(-2, 3, 1, gain_floor=0)
    points = [[-2, 0.25], [3, 1.0]]
    assert score_weights([-2, 3], scale, "piecewise", points=points).tolist() == [0.25, 1]
    found = discount_weights(np.zeros(3, dtype=np.int64), np.array([-1.0, 0.0, 2.0]), scale)
    assert found.tolist() == [0, 0, 1]


@pytest.mark.parametrize("name", [n for n in WEIGHT_FUNCTIONS if n != "piecewise"])
@given(
    scores=st.lists(st.floats(-5, 20), min_size=2, max_size=30),
)
def test_larger_scores_never_weigh_less(name: str, scores: list[float]) -> None:
    ordered = np.sort(np.array(scores))
    scale = ScoreScale(-5, 20, 0)
    weights = score_weights(np.append(ordered, 20.0), scale, name)
    assert (np.diff(weights) >= -1e-12).all()
    assert (weights >= 0).all()
    assert weights[-1] == pytest.approx(1.0)


def test_an_importable_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "def square(scores, scale, *, power=2):\n    return (scores / scale.maximum) ** power\n"
    (tmp_path / "my_weights.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert one("my_weights:square", 50) == pytest.approx(0.25)
    assert one("my_weights:square", 50, power=1) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "scores", "parameters", "message"),
    [
        ("invers", [1], {}, "Did you mean 'inverse'"),
        ("no_such_module:f", [1], {}, "cannot be imported"),
        ("math:no_such", [1], {}, "cannot be imported"),
        ("math:pi", [1], {}, "is not a function"),
        ("inverse", [101], {}, "outside the stated scale"),
        ("inverse", [math.nan], {}, "outside the stated scale"),
        ("inverse", [1], {"stepp": 2}, "cannot be called"),
        ("inverse", [1], {"step": 0}, "above 0"),
        ("exponential", [1], {"temperature": -1}, "above 0"),
        ("piecewise", [1], {}, "expected points"),
        ("piecewise", [1], {"points": [[2, 1], [1, 0]]}, "ascending"),
        ("piecewise", [1], {"points": [[1, -1], [2, 0]]}, "finite weights"),
        ("piecewise", [1], {"points": [[1, 0], [2, 1]]}, "only zeros"),
    ],
)
def test_what_cannot_be_used_is_refused(
    name: str, scores: list[float], parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        score_weights(scores, LIST, name, **parameters)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), queries=st.integers(1, 6), grades=st.integers(1, 5))
def test_no_grade_outweighs_the_best_one(seed: int, queries: int, grades: int) -> None:
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, queries, 30)
    scores = rng.integers(1, grades + 1, 30).astype(float)
    found = discount_weights(owner, scores, ScoreScale(1, 5, 1))
    for i in range(30):
        mine = scores[owner == owner[i]].tolist()
        sizes = {grade: mine.count(grade) for grade in mine}
        largest = max(size for grade, size in sizes.items() if grade >= scores[i])
        rank = 1 + sum(score > scores[i] for score in mine)
        expected = min(1.0, sizes[max(mine)] / largest) / math.log2(1 + rank)
        assert found[i] == pytest.approx(expected, rel=1e-12)
    for query in np.unique(owner):
        order = np.argsort(-scores[owner == query], kind="stable")
        assert (np.diff(found[owner == query][order]) <= 1e-12).all()
    rising = discount_weights(owner, np.exp(scores), ScoreScale(1, 200, 1))
    np.testing.assert_allclose(rising, found)


def test_discount_of_distinct_scores_is_that_of_dcg_and_no_gain_weighs_nothing() -> None:
    owner = np.zeros(4, dtype=np.int64)
    scale = ScoreScale(0, 3, 1)
    found = discount_weights(owner, np.array([1.0, 3.0, 0.0, 2.0]), scale)
    np.testing.assert_allclose(found, [1 / 2, 1.0, 0.0, 1 / math.log2(3)])
    with pytest.raises(RecipeError, match="only zeros"):
        discount_weights(owner, np.zeros(4), scale)
    assert len(discount_weights(owner[:0], np.zeros(0), scale)) == 0


def test_a_weight_of_any_name_and_what_does_not_fit_it() -> None:
    queries, scores = np.array([0, 0, 1]), np.array([3.0, 1.0, 2.0])
    found = pair_weights(queries, scores, GRADES, "discount")
    assert np.array_equal(found, discount_weights(queries, scores, GRADES))
    found = pair_weights(queries, scores, GRADES, "exponential", temperature=0.5)
    assert np.array_equal(found, score_weights(scores, GRADES, "exponential", temperature=0.5))
    with pytest.raises(RecipeError, match="takes no parameters, found step"):
        pair_weights(queries, scores, GRADES, "discount", step=1.0)
    with pytest.raises(RecipeError, match=r"score 9.0 lies outside the stated scale \[0, 3\]"):
        discount_weights(queries, np.array([9.0, 1.0, 2.0]), GRADES)
    with pytest.raises(RecipeError, match="depends on a query's own list"):
        score_weights(scores, GRADES, "discount")


@pytest.mark.parametrize("points", ["ab", [[1, 2], [3]], None, [["a", 1], ["b", 2]], {"a": 1}])
def test_points_that_are_no_table_of_numbers(points: object) -> None:
    with pytest.raises(RecipeError, match="expected points"):
        score_weights([1.0, 2.0], GRADES, "piecewise", points=points)
