"""Where a data set is expected its folder will do, and anything else is an error that helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch

import rankfield
from rankfield.encoders import RankingModel, small_encoder
from rankfield.errors import DataError, InputError
from rankfield.schema import DatasetFolder, RankingDataset, require_dataset
from ranking_shop import ranking_shop

OTHERS = ("red sofa", ["red sofa"], pl.DataFrame({"query": ["a"]}), pa.table({"q": ["a"]}), None, 7)

Call = Callable[[RankingModel, Any, Path], object]
CALLS: dict[str, Call] = {
    "embed_queries": lambda model, data, _: model.embed_queries(data),
    "embed_documents": lambda model, data, _: model.embed_documents(data),
    "evaluate": lambda model, data, _: rankfield.evaluate(model, data),
    "retrieve": lambda model, data, _: rankfield.retrieve(model, data, "red mug"),
    "build_index": lambda _, data, out: rankfield.build_index(out.parent / "model", data, out),
    "publish": lambda model, data, out: rankfield.publish(model, out, "vectors", data),
    "split": lambda _, data, __: rankfield.split(data),
    "audit": lambda _, data, __: rankfield.audit(data),
    "train": lambda _, data, out: rankfield.train(rankfield.parse_recipe({}), data, out),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("given")
    data = ranking_shop().save(root / "data")
    torch.manual_seed(0)
    encoder = small_encoder(data.documents["title"], ["text"], dimension=16, width=32)
    RankingModel(encoder, data.query_fields, data.document_fields).save(root / "model")
    return root


@pytest.mark.parametrize("name", CALLS)
def test_anything_else_is_refused_by_name(place: Path, name: str) -> None:
    model = RankingModel.load(place / "model")
    for value in OTHERS:
        if name == "publish" and value is None:
            continue  # an export without data
        with pytest.raises(InputError, match="dataset: expected a data set, found "):
            CALLS[name](model, value, place / "out")
        assert not (place / "out").exists()


def test_the_remedy_says_what_takes_records(place: Path) -> None:
    model = RankingModel.load(place / "model")
    with pytest.raises(InputError, match=r"found a list.*encode_queries"):
        model.embed_queries(["red sofa"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"found a polars\.DataFrame"):
        rankfield.evaluate(model, pl.DataFrame())  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"found a str.*load_recipe"):
        rankfield.train("recipe.toml", place / "data", place / "out")  # type: ignore[arg-type]


def test_a_folder_is_the_data_set_in_it(place: Path) -> None:
    data, model = RankingDataset.load(place / "data"), RankingModel.load(place / "model")
    assert require_dataset(data) is data
    for folder in (place / "data", str(place / "data"), DatasetFolder.load(place / "data")):
        assert require_dataset(folder).fingerprint() == data.fingerprint()
    folder = place / "data"
    given: Any = str(folder)
    np.testing.assert_array_equal(model.embed_queries(given), model.embed_queries(data))
    assert rankfield.evaluate(model, given).splits == rankfield.evaluate(model, data).splits
    assert rankfield.split(given).judgments.equals(rankfield.split(data).judgments)
    assert rankfield.audit(given) == rankfield.audit(data)
    found = rankfield.retrieve(model, given, "red mug")
    assert found.equals(rankfield.retrieve(model, data, "red mug"))


def test_a_path_without_a_data_set_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        require_dataset(tmp_path)
    with pytest.raises(DataError):
        require_dataset(tmp_path / "none")
