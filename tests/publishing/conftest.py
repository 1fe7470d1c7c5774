"""A tiny CLIP with a field of images and one of texts, published once for all tests of exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rankfield.encoders import RankingModel
from rankfield.publishing import publish
from rankfield.schema import Field, RankingDataset
from tiny_models import tiny_clip
from training_data import tiny_shop


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("shop") / "shop", copies=2)


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    return RankingModel.from_pretrained(
        tiny_clip(tmp_path_factory.mktemp("clip"), layers=1),
        document_fields=[Field("image", "image", 0.9), Field("title", "text", 0.1)],
        device="cpu",
    )


@pytest.fixture(scope="session")
def published(
    small_clip: RankingModel, small_shop: RankingDataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("published") / "out"
    return out, publish(small_clip, out, ["onnx", "onnx-document"], small_shop)
