"""Parameters of other trainers become a recipe; what has no counterpart is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rankfield.cli.main import app
from rankfield.errors import InputError, RecipeError
from rankfield.training import load_recipe, parse_recipe
from rankfield.training.marqtune import from_marqtune
from rankfield.training.trainer_arguments import from_sentence_transformers
from training_data import tiny_shop

MARQTUNE: dict[str, Any] = {
    "leftKeys": ["query"],
    "leftWeights": [1],
    "rightKeys": ["image", "title"],
    "rightWeights": [0.9, 0.1],
    "weightKey": "score_linear",
}


def saved(folder: Path, values: object) -> Path:
    path = folder / "parameters.json"
    path.write_text(json.dumps(values), "utf-8")
    return path


def test_marqtune(tmp_path: Path) -> None:
    values = MARQTUNE | {
        "baseModel": "Marqo/ViT-B-32",
        "hyperparameters": {
            "batchSize": 64,
            "lr": 2e-5,
            "warmup": 100,
            "wd": 0.02,
            "gradClipNorm": 2,
            "precision": "amp_bf16",
            "lockImage": True,
            "lockText": False,
            "accumFreq": 4,
            "forceQuickGELU": False,
            "learnRate": 3,
            "seed": 5,
        },
    }
    found = from_marqtune(saved(tmp_path, values))
    settings = found.fitted(pairs=6400, size=64)
    assert settings["data"]["document_weights"] == {"image": 0.9, "title": 0.1}
    assert settings["loss"] == {"target": "pair", "direction": "both", "weight": "linear"}
    assert settings["encoder"] == {
        "kind": "open-clip",
        "model": "hf-hub:Marqo/ViT-B-32",
        "freeze": ["vision"],
    }
    assert settings["optimizer"] == {
        "learning_rate": 2e-5,
        "weight_decay": 0.02,
        "beta1": 0.9,
        "beta2": 0.98,
        "epsilon": 1e-6,
        "clip_norm": 2.0,
        "steps": 500,
        "warmup": 0.2,
    }
    assert settings[""] == {"seed": 5, "precision": "bf16"}
    notes = "\n".join(found.notes)
    assert "accum_freq = 4 is left out" in notes
    assert "learn_rate = 3 is unknown" in notes
    assert "score_linear" in notes
    assert "force_quick_gelu" not in notes  # it asks for nothing


@pytest.mark.parametrize(
    ("values", "encoder", "note"),
    [
        (
            {"model": "ViT-B-32", "pretrained": "gcl/epoch_5.pt"},
            {"kind": "open-clip", "model": "ViT-B-32", "checkpoint": "gcl/epoch_5.pt"},
            "",
        ),
        (
            {"model": "ViT-B-32", "pretrained": "laion2b_s34b_b79k", "contextLength": 64},
            {"kind": "open-clip", "model": "ViT-B-32"},
            "the checkpoint 'laion2b_s34b_b79k' is no file of weights",
        ),
        (
            {"baseModel": "ViT-B-32"},
            {"kind": "open-clip", "model": "ViT-B-32"},
            "encoder.model = 'ViT-B-32' is an architecture of open_clip, without weights",
        ),
        (
            {"model": "local-dir:clip"},
            {"kind": "open-clip", "model": "local-dir:clip"},
            "",
        ),
        (
            {"model": "intfloat/e5-base-v2", "modelType": "hf", "contextLength": 64},
            {"kind": "sentence-transformers", "model": "intfloat/e5-base-v2"},
            "context_length = 64 is left out: the model has a length of its own",
        ),
        ({"contextLength": 40}, {"max_tokens": 40}, ""),
    ],
)
def test_models_of_open_clip(
    values: dict[str, Any], encoder: dict[str, Any], note: str, tmp_path: Path
) -> None:
    found = from_marqtune(saved(tmp_path, values))
    assert found.settings["encoder"] == encoder
    assert parse_recipe({"encoder": encoder}).encoder.kind == encoder.get("kind", "small")
    about = [one for one in found.notes if "encoder." in one or "context_length" in one]
    assert note in "\n".join(about)
    assert bool(about) == bool(note)


def test_arguments_of_gcl_have_the_same_names(tmp_path: Path) -> None:
    dashes = {"--left-keys": ["query"], "--batch-size": 32, "--precision": "int8"}
    found = from_marqtune(saved(tmp_path, dashes))
    assert found.settings["data"]["query_weights"] == {"query": 1.0}
    assert found.settings["batch"]["size"] == 32
    assert any("precision = 'int8' has no counterpart" in note for note in found.notes)


@pytest.mark.parametrize(
    "values",
    [
        [1],
        {"leftKeys": "query"},
        {"leftKeys": ["query"], "leftWeights": [1, 2]},
        {"leftKeys": ["query"], "leftWeights": [-1]},
        {"leftWeights": [1]},
        {"batchSize": "many"},
        {"batchSize": True},
        {"batchSize": 1, "batch_size": 2},
    ],
)
def test_malformed_parameters_are_refused(values: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"parameters\.json"):
        from_marqtune(saved(tmp_path, values))


def test_arguments_of_sentence_transformers(tmp_path: Path) -> None:
    values = {
        "model": "org/model",
        "loss": {
            "name": "MatryoshkaLoss",
            "loss": {"name": "MultipleNegativesRankingLoss", "scale": 30},
            "matryoshka_dims": [64, 32],
        },
        "args": {
            "output_dir": "out",
            "per_device_train_batch_size": 16,
            "num_train_epochs": 2,
            "warmup_ratio": 0.1,
            "bf16": True,
            "fp16": False,
            "prompts": {"anchor": "query: ", "positive": "passage: "},
            "gradient_accumulation_steps": 2,
            "eval_steps": 50,
            "save_steps": 0.1,
            "optim": "adafactor",
            "hub_token": None,
            "per_device_train_batchsize": 4,
        },
    }
    found = from_sentence_transformers(saved(tmp_path, values))
    settings = found.fitted(pairs=100, size=16)
    assert settings["encoder"] == {
        "kind": "sentence-transformers",
        "model": "org/model",
        "query_prefix": "query: ",
        "document_prefix": "passage: ",
    }
    assert settings["loss"] == {
        "matryoshka": [32, 64],
        "target": "pair",
        "weight": "constant",
        "direction": "query_to_document",
        "logit_scale": 30.0,
    }
    assert settings["optimizer"]["steps"] == 13
    assert settings["optimizer"]["warmup"] == 0.1
    assert settings["optimizer"]["learning_rate"] == 5e-5
    assert settings[""] == {"seed": 42, "precision": "bf16"}
    assert settings["dev"] == {"every": 50}
    notes = "\n".join(found.notes)
    assert "gradient_accumulation_steps = 2 is left out" in notes
    assert "optim = 'adafactor'" in notes
    assert "Did you mean 'per_device_eval_batch_size'?" in notes
    assert "save_steps = 0.1" in notes
    assert "output_dir" in notes


def test_every_argument_of_the_library_is_known(tmp_path: Path) -> None:
    from dataclasses import fields

    from sentence_transformers import SentenceTransformerTrainingArguments

    names = [one.name for one in fields(SentenceTransformerTrainingArguments)]
    found = from_sentence_transformers(saved(tmp_path, dict.fromkeys(names, None)))
    assert not [note for note in found.notes if "unknown" in note]


def test_a_loss_without_counterpart_is_said(tmp_path: Path) -> None:
    found = from_sentence_transformers(saved(tmp_path, {"loss": "CoSENTLoss"}))
    assert any("CoSENTLoss has no counterpart" in note for note in found.notes)
    assert "loss" not in found.settings


def test_the_command_writes_a_recipe_that_loads(tmp_path: Path) -> None:
    shop = tiny_shop(tmp_path / "shop")
    fields = {field.name: field.weight for field in shop.document_fields}
    values = MARQTUNE | {"rightKeys": list(fields), "rightWeights": [2.0] * len(fields)}
    values["leftKeys"] = [shop.query_fields[0].name]
    path, out = saved(tmp_path, values | {"epochs": 3, "accumFreq": 8}), tmp_path / "gcl.toml"
    arguments = ["recipe", str(tmp_path / "shop"), "--from-marqtune", str(path)]
    done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "note: accum_freq = 8 is left out" in done.stderr
    text = out.read_text("utf-8")
    assert "# From the parameters of Marqtune." in text
    recipe = load_recipe(out)
    assert recipe.data.document_weights == dict.fromkeys(fields, 2.0)
    assert recipe.loss.target == "pair"
    assert recipe.optimizer.steps >= 3
    both = CliRunner().invoke(app, [*arguments, "--from-sentence-transformers", str(path)])
    assert isinstance(both.exception, InputError)


def test_a_value_out_of_range_names_the_trainer(tmp_path: Path) -> None:
    tiny_shop(tmp_path / "shop")
    path = saved(tmp_path, {"learning_rate": -1.0})
    arguments = ["recipe", str(tmp_path / "shop"), "--from-sentence-transformers", str(path)]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, RecipeError)
    assert "parameters of sentence-transformers, optimizer.learning_rate" in str(done.exception)
