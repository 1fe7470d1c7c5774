"""Two processes over gloo train the same models as one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.schema import Field, RankingDataset
from rankfield.training import parse_recipe, train
from rankfield.training.negatives import load_negatives
from training_data import tiny_shop
from training_runs import last_checkpoint, log_of

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "fields": {
        "encoder": {"learn_field_weights": True},
        "loss": {"per_field": 0.5, "listwise": "listnet", "matryoshka": [8]},
        "average": {"ema": 0.5},
    },
    "negatives": {
        "negatives": {"refresh_every": 3, "relative_margin": -1.0, "near_duplicate": 2.0},
        "loss": {"name": "sigmoid", "logit_bias": -3.0},
        "batch": {"similar_queries": 3, "documents_per_query": 4, "more_queries": 5},
    },
    "work of tiles shared": {
        "loss": {"direction": "both", "per_field": 0.5, "listwise": "lambda", "matryoshka": [8]},
    },
    "work of pairs shared": {"loss": {"name": "contrastive", "direction": "both"}},
}

PROGRAM = """
import json, sys
from pathlib import Path
import torch
from rankfield.losses import large_batches
from rankfield.schema import RankingDataset
from rankfield.training import parse_recipe, train
data, out, own_group = RankingDataset.load(sys.argv[1]), Path(sys.argv[2]), len(sys.argv) > 4
if own_group:
    torch.distributed.init_process_group("gloo")
for name, recipe in json.loads(sys.argv[3]).items():
    large_batches._PAYS_FROM = 0 if "shared" in name else 2**19
    train(parse_recipe(recipe), data, out / name, resume=(out / name).exists())
if own_group:
    seen = torch.ones(1)
    torch.distributed.all_reduce(seen)  # the caller's group is still there
    assert seen.item() == 2
    torch.distributed.destroy_process_group()
"""
"""Several trainings in one program, in a process group of the caller if there is one word more.

Those that are there already go on.
"""


def recipe_of(variant: dict[str, Any]) -> dict[str, Any]:
    recipe: dict[str, Any] = {
        "trackers": [],
        "log_every": 2,
        # Photos would differ: each process normalises its own half of the batch.
        "encoder": {"dimension": 16, "text_width": 32, "text_layers": 1, "max_tokens": 12},
        "batch": {"size": 16},
        "optimizer": {"steps": 6, "learning_rate": 1e-3},
        "dev": {"every": 3},
    }
    for section, values in variant.items():
        recipe[section] = recipe.get(section, {}) | values
    return recipe


def shop_with_a_rare_field(folder: Path) -> RankingDataset:
    """Return a shop in which few documents have a second field: a process may meet none."""
    plain = tiny_shop(folder / "plain", photos=False)
    rare = pl.when(pl.int_range(pl.len()) % 12 == 0).then("colour")
    data = plain.with_tables(documents=plain.documents.with_columns(tint=rare))
    data = RankingDataset(
        name=data.name,
        query_fields=data.query_fields,
        document_fields=(*data.document_fields, Field("tint", "text", 0.3)),
        score_scale=data.score_scale,
        queries=data.queries,
        documents=data.documents,
        judgments=data.judgments,
    )
    return data.save(folder / "data")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return shop_with_a_rare_field(tmp_path_factory.mktemp("shop"))


def train_in_two(
    recipes: dict[str, Any], data: RankingDataset, out: Path, *, group: Sequence[str] = ()
) -> None:
    out.mkdir(exist_ok=True)
    program = out.with_suffix(".py")
    program.write_text(PROGRAM, "utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, program, str(data.root), out, json.dumps(recipes), *group],
        check=False,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_end_with_the_weights_of_one(data: RankingDataset, tmp_path: Path) -> None:
    """One test, since to start two processes takes longer than all that they train."""
    recipes = {name: recipe_of(variant) for name, variant in VARIANTS.items()}
    train_in_two(recipes, data, tmp_path / "two")
    for name, recipe in recipes.items():
        one, two = tmp_path / "one" / name, tmp_path / "two" / name
        train(parse_recipe(recipe), data, one)
        assert_same_weights(one, two)
        for mined in sorted((one / "negatives").glob("*")):
            other = load_negatives(two / "negatives" / mined.name, data)
            pairs = load_negatives(mined, data).select("query_id", "doc_id")
            assert pairs.equals(other.select("query_id", "doc_id"))
        assert (two / "negatives").exists() == (name == "negatives")


def test_a_group_of_the_caller_serves_two_trainings(data: RankingDataset, tmp_path: Path) -> None:
    recipe = recipe_of({"optimizer": {"steps": 2}, "dev": {"every": 0}})
    recipes = {"first": recipe, "again": recipe}
    train_in_two(recipes, data, tmp_path / "two", group=["own group"])
    assert_same_weights(*(tmp_path / "two" / name for name in recipes))


def test_a_run_goes_on_with_another_number_of_processes(
    data: RankingDataset, tmp_path: Path
) -> None:
    recipe = recipe_of(VARIANTS["fields"] | VARIANTS["negatives"])
    recipe["loss"] = VARIANTS["fields"]["loss"]
    recipe |= {"checkpoint_every": 2}
    whole = tmp_path / "whole"
    train(parse_recipe(recipe), data, whole)
    two = tmp_path / "two"
    for name in ("continued", "damaged"):
        shutil.copytree(whole, two / name)
        shutil.rmtree(two / name / "model")
    last = last_checkpoint(two / "damaged")
    (last / "optimizer.safetensors").write_bytes(b"")
    train_in_two(dict.fromkeys(("continued", "damaged", "begun"), recipe), data, two)
    assert (two / "damaged" / "checkpoints" / f"damaged-{last.name}").is_dir()
    (two / "begun" / "model").rename(two / "begun-model")
    train(parse_recipe(recipe), data, two / "begun", resume=True)
    for name in ("continued", "damaged", "begun"):
        assert_same_weights(whole, two / name)
        assert [line["step"] for line in log_of(two / name)] == [
            line["step"] for line in log_of(whole)
        ]


def assert_same_weights(one: Path, two: Path) -> None:
    expected, found = (RankingModel.load(f / "model").state_dict() for f in (one, two))
    for key, value in expected.items():
        torch.testing.assert_close(value, found[key], rtol=1e-3, atol=1e-5, msg=f"{two}: {key}")
