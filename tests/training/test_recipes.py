"""Every recipe in recipes/ is valid, and its real data, where present, fits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankfield.curation import split
from rankfield.errors import RecipeError
from rankfield.formats import read_tables
from rankfield.training import build_model, load_recipe
from rankfield.training.pairs import TrainingPairs

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
DATA = ROOT / ".." / "shared" / "data"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_is_valid(path: Path) -> None:
    assert load_recipe(path, allow_code=True).optimizer.steps > 0
    with pytest.raises(RecipeError, match="unknown key"):
        load_recipe(path, ["optimizer.stepps=1"])


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["luma", "grocery", "icecat", "luma-pretrained", "grocery-pretrained"]
)
def test_it_fits_its_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = DATA / name.removesuffix("-pretrained")
    if not folder.is_dir():
        pytest.skip("the real data sets are not here")
    if name.endswith("-pretrained"):
        pytest.importorskip("efficientnet_lite_pytorch")
        monkeypatch.syspath_prepend(ROOT / "benchmarks")
    dataset, _ = read_tables(folder, bad_images="ignore")
    recipe = load_recipe(ROOT / "recipes" / f"{name}.toml", allow_code=True)
    data = split(dataset)
    model = build_model(recipe, data)
    pairs = TrainingPairs.of(recipe, data)
    assert len(pairs.weights) >= recipe.batch.size
    assert {f.name for f in model.document_fields} == set(recipe.data.document_weights)
