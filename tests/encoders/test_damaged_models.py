"""Model folders of which a JSON file is damaged or absurd: refused, before anything is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.pretrained import loading
from rankfield.encoders.small import small_encoder
from rankfield.errors import ModelError
from rankfield.schema import Field, RankingDataset
from ranking_shop import ranking_shop

DEEP = "[" * 5000 + "]" * 5000


@pytest.fixture(scope="module")
def data() -> RankingDataset:
    return ranking_shop()


@pytest.fixture(scope="module")
def good(data: RankingDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    sizes = {"dimension": 8, "width": 16, "layers": 1, "image_size": 16, "image_width": 16}
    encoder = small_encoder(data.documents["title"], ["text", "image"], **sizes)
    fields = (*data.document_fields, Field("image", "image"))
    folder = tmp_path_factory.mktemp("models") / "good"
    RankingModel(encoder, data.query_fields, fields).save(folder)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "name", ["rankfield.json", "composed.json", "text/tower.json", "vision/transform.json"]
)
@pytest.mark.parametrize("text", [DEEP, '{"a": ' + "9" * 5000 + "}", "[1]", "\ufeff", "{"])
def test_json_that_is_absurd(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ModelError, match=name.rpartition("/")[2]):
        RankingModel.load(folder)


@pytest.mark.parametrize(
    ("part", "values", "named"),
    [
        ("vision", {"depths": [10**9, 1, 1, 1]}, "depths"),
        ("vision", {"depths": [1, 1, 1, 2**64]}, "depths"),
        ("text", {"num_hidden_layers": 10**8}, "num_hidden_layers"),
        ("text", {"num_hidden_layers": -(10**8)}, "num_hidden_layers"),
        ("text", {"hidden_size": 2**31 - 1}, "hidden_size"),
        ("text", {"text_config": {"max_position_embeddings": 10**10}}, "max_position_embeddings"),
    ],
)
def test_sizes_that_no_model_has(
    folder: Path, part: str, values: dict[str, Any], named: str
) -> None:
    change(folder / part / "config.json", **values)
    with pytest.raises(ModelError, match=f"config.json: expected '{named}' to be"):
        RankingModel.load(folder)


def test_numbers_that_are_no_sizes_may_be_large(folder: Path, data: RankingDataset) -> None:
    change(folder / "text/config.json", rope_theta=10**11, sep_token_id=10**9)
    assert RankingModel.load(folder).embed_queries(data, data.queries).shape == (20, 8)


def test_sizes_of_images(folder: Path) -> None:
    change(folder / "vision/transform.json", height=10**8)
    with pytest.raises(ModelError, match=r"sizes of images from 1 to 4,096, found .100000000"):
        RankingModel.load(folder)


def test_a_token_that_the_model_does_not_know(folder: Path, data: RankingDataset) -> None:
    path = folder / "text/tokenizer.json"
    values = json.loads(path.read_text())
    vocabulary = values["model"]["vocab"]
    vocabulary |= dict.fromkeys([key for key in vocabulary if key in ("red", "mug")], 99_999)
    path.write_text(json.dumps(values))
    with pytest.raises(ModelError, match="gives the token 99,999, the model knows"):
        RankingModel.load(folder).embed_queries(data, data.queries)


@pytest.mark.parametrize("dimension", [99_999_999, 9, "8"])
def test_a_dimension_that_its_projections_do_not_have(folder: Path, dimension: Any) -> None:
    change(folder / "composed.json", dimension=dimension)
    with pytest.raises(ModelError, match=f"dimension {dimension}, text.weight has 8"):
        RankingModel.load(folder)


def test_what_transformers_lists_is_cut() -> None:
    with pytest.raises(ModelError, match=r"cannot be loaded \(x{600} …\)$"), loading("model"):
        raise ValueError("x" * 5000)
