"""`rankfield recipe --out` writes the recipe, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rankfield.cli.main import app
from rankfield.encoders import RankingModel
from rankfield.errors import InputError, OutputError
from rankfield.schema import RankingDataset
from rankfield.settings import read_toml
from rankfield.synthetic import sample_shop
from rankfield.training import build_model, load_recipe, parse_recipe, train
from rankfield.training.optimizer import make_optimizer
from tiny_models import tiny_clip
from tiny_sentence_transformer import tiny_sentence_transformer
from training_data import tiny_shop


def test_the_recipe_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    sample_shop(tmp_path / "shop", documents=20, queries=5, images=False)
    printed = CliRunner().invoke(app, ["recipe", str(tmp_path / "shop")])
    out = tmp_path / "new" / "ranked.toml"
    done = CliRunner().invoke(app, ["recipe", str(tmp_path / "shop"), "--out", str(out)])
    assert done.exit_code == 0
    assert out.read_text("utf-8") == printed.stdout
    assert "optimizer" in read_toml(out)
    again = CliRunner().invoke(app, ["recipe", str(tmp_path / "shop"), "--out", str(out)])
    assert isinstance(again.exception, OutputError)
    assert out.read_text("utf-8") == printed.stdout
    failed = tmp_path / "failed.toml"
    missing = CliRunner().invoke(app, ["recipe", str(tmp_path / "none"), "--out", str(failed)])
    assert missing.exit_code != 0
    assert not failed.exists()


def encoder_recipe(tmp_path: Path, name: Path, data: Path, *words: str) -> tuple[Result, Path]:
    out = tmp_path / "pretrained.toml"
    call = ["recipe", str(data), "--encoder", str(name), "--out", str(out), *words]
    return CliRunner().invoke(app, call), out


def test_a_text_encoder_gets_rates_and_protection_that_suit_it(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    tiny_sentence_transformer(tmp_path / "st").save(str(tmp_path / "saved"))
    tiny_shop(tmp_path / "shop")
    done, out = encoder_recipe(tmp_path, tmp_path / "saved", tmp_path / "shop")
    assert done.exit_code == 0, done.output
    assert "note: The encoder takes text: without the document field image (image)." in done.stderr
    recipe = load_recipe(out)
    assert recipe.encoder.kind == "sentence-transformers"
    assert (recipe.optimizer.learning_rate, recipe.optimizer.layer_decay) == (2e-5, 0.9)
    assert recipe.average.wise == [0.3, 0.5, 0.7]
    assert recipe.loss.logit_scale == 20.0
    assert recipe.data.document_weights == {"title": 0.5}
    data = RankingDataset.load(tmp_path / "shop")
    short = recipe.model_copy(
        update={"optimizer": recipe.optimizer.model_copy(update={"steps": 2})}
    )
    model = train(short, data, tmp_path / "run")
    assert model.metadata["wise"]["alpha"] in (0.3, 0.5, 0.7, 1.0)


def test_a_clip_keeps_images_and_its_scale(tmp_path: Path) -> None:
    data = tiny_shop(tmp_path / "shop")
    clip = tiny_clip(tmp_path / "clip")
    done, out = encoder_recipe(tmp_path, clip, tmp_path / "shop")
    assert done.exit_code == 0, done.output
    recipe = load_recipe(out)
    assert recipe.encoder.kind == "transformers"
    assert recipe.data.document_weights == {"image": 0.5, "title": 0.5}
    scratch = parse_recipe({"data": {"dataset": str(data.root)}})
    assert recipe.loss.logit_scale == scratch.loss.logit_scale
    assert build_model(recipe, data).dimension == 16
    assert make_optimizer(build_model(recipe, data), recipe.optimizer).param_groups


def test_without_dev_queries_there_is_nothing_to_choose_by(tmp_path: Path) -> None:
    sample_shop(tmp_path / "shop", documents=20, queries=5, images=False)
    done, out = encoder_recipe(tmp_path, tiny_clip(tmp_path / "clip"), tmp_path / "shop")
    assert done.exit_code == 0, done.output
    assert "no dev queries" in done.stderr
    assert load_recipe(out).average.wise == []


def test_encoders_that_cannot_be_begun_with_are_refused(tmp_path: Path) -> None:
    data = tiny_shop(tmp_path / "shop")
    clip = tiny_clip(tmp_path / "clip")
    RankingModel.from_pretrained(clip, dataset=data, device="cpu").save(tmp_path / "trained")
    trained, out = encoder_recipe(tmp_path, tmp_path / "trained", tmp_path / "shop")
    assert isinstance(trained.exception, InputError)
    assert "rankfield has trained" in str(trained.exception)
    parameters = tmp_path / "st.json"
    parameters.write_text('{"model": "other"}')
    both, out = encoder_recipe(
        tmp_path, clip, tmp_path / "shop", "--from-sentence-transformers", str(parameters)
    )
    assert isinstance(both.exception, InputError)
    assert "name an encoder too" in str(both.exception)
    assert not out.exists()
