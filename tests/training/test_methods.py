"""What a recipe takes by itself from the data's scores."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankfield.schema import RankingDataset
from rankfield.training import parse_recipe
from rankfield.training.methods import fitted_course, fitted_settings
from rankfield.training.template import recipe_text
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", photos=False)


def with_noise(data: RankingDataset, size: float) -> RankingDataset:
    """The data set with scores that are all different."""
    noise = np.random.default_rng(0).uniform(0, size, data.judgments.height)
    score = (pl.col("score") - pl.Series(noise)).clip(0.0, 3.5)
    return data.with_tables(judgments=data.judgments.with_columns(score=score))


def test_scores_that_are_no_grades_get_soft_borders(shop: RankingDataset, tmp_path: Path) -> None:
    grades = fitted_settings("ranked", shop)
    assert "weight" not in grades["loss"]
    assert "choice" not in grades["batch"]
    noisy = with_noise(shop, 1e-6)
    found = fitted_settings("ranked", noisy)
    assert found["loss"] == {**grades["loss"], "weight": "soft_discount"}
    assert found["batch"] == {**grades["batch"], "choice": "soft_balanced"}
    text = recipe_text(noisy.save(tmp_path / "noisy"))
    assert 'weight = "soft_discount"' in text
    assert 'choice = "soft_balanced"' in text
    given = recipe_text(noisy, weight="linear")
    assert 'weight = "linear"' in given


def relevant_from(data: RankingDataset, score: float) -> RankingDataset:
    return replace(data, score_scale=replace(data.score_scale, relevant=score))


def test_margins_are_for_good_documents_that_are_relevant(shop: RankingDataset) -> None:
    judged = shop.training_judgments()["score"].to_numpy()
    assert set(judged) == {2.0, 2.5, 3.5}
    assert 0.1 < (judged == 3.5).mean() < 0.4
    for data in (shop, with_noise(shop, 1e-3)):
        assert "margin_mse" not in fitted_settings("ranked", relevant_from(data, 3.5))["loss"]
        assert fitted_settings("ranked", relevant_from(data, 2))["loss"]["margin_mse"] == 30.0
    nothing = shop.with_tables(judgments=shop.judgments.with_columns(score=pl.lit(0.0)))
    assert "margin_mse" not in fitted_settings("ranked", nothing)["loss"]


def test_ranked_lists_get_margins(shop: RankingDataset) -> None:
    ranks = relevant_from(with_noise(shop, 3.5), 3)
    assert fitted_settings("ranked", ranks)["loss"]["margin_mse"] == 30.0
    recipe = parse_recipe(tomllib.loads(recipe_text(ranks)))
    assert (recipe.loss.margin_mse, recipe.loss.margin_mse_spread) == (30.0, 0.5)
    assert "margin_mse" not in fitted_settings("ranked", ranks, pretrained=True)["loss"]
    assert "margin_mse" not in fitted_settings("gcl", ranks)["loss"]


@pytest.mark.parametrize("method", ["gcl", "clip"])
def test_the_papers_methods_stay_as_they_are(shop: RankingDataset, method: str) -> None:
    assert fitted_settings(method, with_noise(shop, 1e-6)) == fitted_settings(method, shop)


@pytest.mark.parametrize(
    ("pairs", "size", "pretrained", "steps"),
    [
        (6_400, 128, False, 100),
        (12_800, 128, False, 200),
        (1_000, 100, False, 50),
        (1_000, 100, True, 20),
        (4_000, 100, True, 80),
        (10_000_000, 128, False, 20_000),
    ],
)
def test_the_length_is_two_epochs_within_limits(
    pairs: int, size: int, pretrained: bool, steps: int
) -> None:
    course = {"optimizer": {"steps": steps}, "dev": {"every": steps // 5}}
    assert fitted_course("gcl", pairs, size, pretrained=pretrained) == course
    found = fitted_course("ranked", pairs, size, pretrained=pretrained)
    if not pretrained:
        course["optimizer"]["learning_rate"] = 2e-3  # type: ignore[assignment]
        course["loss"] = {"logit_scale": 30}
    assert found == course


def test_a_printed_recipe_has_a_length_that_fits_its_data(tmp_path: Path) -> None:
    data = tiny_shop(tmp_path / "shop", photos=False, copies=2)
    recipe = parse_recipe(tomllib.loads(recipe_text(data)))
    assert (recipe.optimizer.steps, recipe.dev.every) == (50, 10)
    assert (recipe.optimizer.learning_rate, recipe.loss.logit_scale) == (2e-3, 30)
    theirs = parse_recipe(tomllib.loads(recipe_text(data, method="gcl")))
    assert (theirs.optimizer.learning_rate, theirs.optimizer.steps) == (1e-3, 50)
