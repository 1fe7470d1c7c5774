"""Kappa against scikit-learn, alpha against its author, tau against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from rankfield.errors import MetricError
from rankfield.judging.agreement import (
    cohen_kappa,
    confusion_table,
    kendall_tau,
    krippendorff_alpha,
)

GRADES = [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("weights", "named"), [("none", None), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_kappa_is_that_of_scikit_learn(seed: int, weights: str, named: str | None) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 200)
    second = np.where(rng.random(200) < 0.6, first, rng.integers(0, 4, 200))
    table = confusion_table(first, second, GRADES)
    assert np.array_equal(table, confusion_matrix(first, second, labels=range(4)))
    expected = cohen_kappa_score(first, second, weights=named, labels=range(4))
    assert cohen_kappa(table, weights) == pytest.approx(expected, abs=1e-12)  # type: ignore[arg-type]


def test_kappa_of_grades_does_not_depend_on_those_that_nobody_gave() -> None:
    first, second = [0, 0, 4, 1, 4, 0], [0, 1, 4, 0, 0, 0]
    expected = cohen_kappa_score(first, second, weights="quadratic", labels=range(5))
    table = confusion_table(first, second, [0, 1, 4])
    assert cohen_kappa(table, "quadratic", [0, 1, 4]) == pytest.approx(expected, abs=1e-12)
    assert cohen_kappa(table, "quadratic") != pytest.approx(expected, abs=0.01)


def test_alpha_is_that_of_krippendorffs_example() -> None:
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C: interval data, 0.849
    judges = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    given = [
        (unit, float(score))
        for judge in judges
        for unit, score in enumerate(judge.split())
        if score != "."
    ]
    found = krippendorff_alpha(*zip(*given, strict=True))
    assert found == pytest.approx(0.849, abs=5e-4)
    shifted = krippendorff_alpha([f"u{u}" for u, _ in given], [1e6 + 25 * s for _, s in given])
    assert shifted == pytest.approx(found, abs=1e-9)
    assert krippendorff_alpha([], []) is None
    assert krippendorff_alpha([1, 2], [0.0, 3.0]) is None
    assert krippendorff_alpha([1, 1], [2.0, 2.0]) is None


@pytest.mark.parametrize("seed", range(6))
def test_tau_counts_pairs_in_the_same_and_in_opposite_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=300).round(seed % 3)
    second = (first + rng.normal(size=300)).round(seed % 2)
    upper = np.triu_indices(300, 1)
    one, other = (np.sign(np.subtract.outer(v, v))[upper] for v in (first, second))
    expected = (one * other).sum() / np.sqrt(np.abs(one).sum() * np.abs(other).sum())
    assert kendall_tau(first, second) == pytest.approx(expected, abs=1e-12)


LISTS = st.lists(st.tuples(st.sampled_from(GRADES), st.sampled_from(GRADES)), min_size=2)


@given(LISTS)
def test_agreement_is_symmetric_and_bounded(pairs: list[tuple[float, float]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    tau = kendall_tau(first, second)
    assert tau == kendall_tau(second, first) or tau == pytest.approx(kendall_tau(second, first))
    assert tau is None or -1 - 1e-12 <= tau <= 1 + 1e-12
    for weights in ("none", "linear", "quadratic"):
        one = cohen_kappa(confusion_table(first, second, GRADES), weights)
        other = cohen_kappa(confusion_table(second, first, GRADES), weights)
        assert one == pytest.approx(other)
        assert one is None or one <= 1


@given(st.lists(st.sampled_from(GRADES), min_size=2))
def test_a_judge_agrees_with_itself(grades: list[float]) -> None:
    table = confusion_table(grades, grades, GRADES)
    one_grade = len(set(grades)) == 1
    assert cohen_kappa(table) == (None if one_grade else pytest.approx(1.0))
    assert kendall_tau(grades, grades) == (None if one_grade else pytest.approx(1.0))
    negative = kendall_tau(grades, [-g for g in grades])
    assert negative == (None if one_grade else pytest.approx(-1.0))


def test_what_cannot_be_compared() -> None:
    assert cohen_kappa(np.zeros((3, 3))) is None
    with pytest.raises(MetricError, match=r"2\.5, which is none of the grades"):
        confusion_table([1.0], [2.5], GRADES)
    with pytest.raises(MetricError, match="two lists of one length"):
        kendall_tau([1.0, 2.0], [1.0])
    with pytest.raises(MetricError, match="finite"):
        kendall_tau([1.0, float("nan")], [1.0, 2.0])
