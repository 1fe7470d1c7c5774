"""A loss of the user's own: imported only where that is allowed, checked before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankfield.curation import split
from rankfield.errors import RecipeError
from rankfield.synthetic import sample_shop
from rankfield.training import Recipe, parse_recipe, train

OWN = """
from pathlib import Path

import torch

from rankfield.losses import RankingLoss

Path("imported").touch()


class Hinge(RankingLoss):
    def __init__(self, *, margin=0.0, power: float = 1.0, logit_scale=None):
        super().__init__(logit_scale=logit_scale)
        self.margin, self.power = margin, power

    def forward(self, query_embeddings, document_embeddings, pairs, logit_scale=None):
        similarities = query_embeddings @ document_embeddings.T
        own = similarities[pairs.queries, pairs.documents]
        costs = torch.relu(similarities[pairs.queries] - own[:, None] + self.margin)
        return self.scale(logit_scale) * costs.pow(self.power).mean()


class Other:
    pass
"""


def recipe(**loss: object) -> Recipe:
    small = {"optimizer": {"steps": 2}, "batch": {"size": 8}, "dev": {"every": "off"}}
    return parse_recipe({**small, "trackers": [], "loss": loss}, allow_code=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"own_{tmp_path.name}.py").write_text(OWN)
    return tmp_path


def name(here: Path, loss: str = "Hinge") -> str:
    return f"own_{here.name}:{loss}"


def test_a_loss_of_ones_own_is_trained_with(here: Path) -> None:
    shop = sample_shop(here / "shop", documents=60, queries=12, per_query=10, images=False)
    wanted = recipe(name=name(here), margin=0.1, parameters={"power": 2.0})
    assert not (here / "imported").exists(), "a recipe that is only read imports nothing"
    model = train(wanted, split(shop), here / "run")
    assert (here / "imported").exists()
    assert model.metadata["step"] == 2


def test_it_is_refused_unless_code_is_allowed(here: Path) -> None:
    for section in ({"name": name(here)}, {"listwise": name(here)}, {"target": name(here)}):
        with pytest.raises(RecipeError):
            parse_recipe({"loss": section})
    with pytest.raises(RecipeError, match=r"is loss\.name"):
        parse_recipe({"loss": {"target": name(here)}}, allow_code=True)
    assert not (here / "imported").exists()


@pytest.mark.parametrize(
    ("loss", "settings", "message"),
    [
        ("Hinge", {"parameters": {"powr": 2.0}}, "no parameter 'powr'; it has power"),
        (
            "Hinge",
            {"target": "mask"},
            "takes no target: name it in the constructor, or leave it at 'ranked'",
        ),
        ("Other", {}, "no subclass of rankfield.losses.RankingLoss"),
        ("Missing", {}, "cannot be imported.*Python path"),
    ],
)
def test_a_wrong_one_is_refused_before_the_first_step(
    here: Path, loss: str, settings: dict[str, object], message: str
) -> None:
    shop = sample_shop(here / "shop", documents=20, queries=4, per_query=5, images=False)
    with pytest.raises(RecipeError, match=message):
        train(recipe(name=name(here, loss), **settings), shop, here / "run")
    assert not (here / "run").exists()
