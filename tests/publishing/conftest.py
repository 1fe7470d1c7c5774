"""A tiny CLIP with a field of images and one of texts, published once for all tests of exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rankfield.encoders import RankingModel
from rankfield.publishing import publish
from rankfield.schema import RankingDataset
from rankfield.training import train
from tiny_models import recipe_of, tiny_clip
from training_data import tiny_shop


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("shop") / "shop", copies=2)


@pytest.fixture(scope="session")
def small_clip(
    small_shop: RankingDataset, tmp_path_factory: pytest.TempPathFactory
) -> RankingModel:
    """Trained for some seconds: what ranks by chance has no nDCG@10 to lose."""
    folder = tiny_clip(tmp_path_factory.mktemp("clip"), layers=1)
    recipe = recipe_of(
        folder,
        data={"document_weights": {"image": 0.9, "title": 0.1}},
        optimizer={"steps": 60, "learning_rate": 1e-2},
        dev={"every": 0},
    )
    return train(recipe, small_shop, tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="session")
def published(
    small_clip: RankingModel, small_shop: RankingDataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("published") / "out"
    return out, publish(small_clip, out, ["onnx", "onnx-document"], small_shop)
