"""Whatever uses a model leaves each of its modules, shared encoders too, in the mode it had."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rankfield.encoders import RankingModel
from rankfield.encoders.modes import evaluating
from rankfield.evaluation import evaluate, retrieve
from rankfield.evaluation.robustness import FieldEmbeddings, measure_robustness
from rankfield.schema import RankingDataset
from rankfield.training import build_model, mine, parse_recipe
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", copies=3)


@pytest.fixture
def model(shop: RankingDataset) -> RankingModel:
    encoder = {"dimension": 16, "text_width": 32, "image_size": 24, "image_width": 32}
    return build_model(parse_recipe({"encoder": encoder}), shop).eval()


def _without(model: RankingModel, data: RankingDataset) -> None:
    FieldEmbeddings(model, data).without(["image"])


def _robustness(model: RankingModel, data: RankingDataset) -> None:
    measure_robustness(FieldEmbeddings(model, data), evaluate(model, data))


USES: dict[str, Callable[[RankingModel, RankingDataset], object]] = {
    "embed": lambda model, data: model.embed_documents(data),
    "evaluate": evaluate,
    "without": _without,
    "robustness": _robustness,
    "retrieve": lambda model, data: retrieve(model, data, "red ball"),
    "mine": mine,
}


@pytest.mark.parametrize("mode", ["evaluation", "training", "mixed"])
@pytest.mark.parametrize("use", USES)
def test_each_part_is_in_its_mode_afterwards(
    model: RankingModel, shop: RankingDataset, use: str, mode: str
) -> None:
    model.train(mode != "evaluation")
    if mode == "mixed":
        next(model.encoder.children()).eval()
    before = {name: module.training for name, module in model.named_modules()}
    USES[use](model, shop)
    assert {name: module.training for name, module in model.named_modules()} == before


def test_a_failure_gives_the_mode_back_too(model: RankingModel) -> None:
    def fail() -> None:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            raise KeyError

    model.train()
    with pytest.raises(KeyError):
        fail()
    assert all(module.training for module in model.modules())


def test_figures_are_those_of_evaluation_mode(model: RankingModel, shop: RankingDataset) -> None:
    expected = model.embed_documents(shop).tobytes()
    FieldEmbeddings(model, shop)
    retrieve(model, shop, "red ball")
    assert not model.encoder.training
    assert model.embed_documents(shop).tobytes() == expected
