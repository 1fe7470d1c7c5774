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
from rankfield.errors import RecipeError
from rankfield.schema import Field, RankingDataset
from rankfield.training import build_model, parse_recipe, train
from rankfield.training.negatives import load_negatives
from rankfield.training.sharding import check_sharding
from tiny_models import tiny_clip
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
        "loss": {"name": "sigmoid", "logit_bias": -3.0, "margin_mse": 5.0},
        "batch": {"similar_queries": 3, "documents_per_query": 4, "more_queries": 5},
    },
    "work of tiles shared": {
        "loss": {"direction": "both", "per_field": 0.5, "listwise": "lambda", "matryoshka": [8]},
    },
    "work of pairs shared": {"loss": {"name": "contrastive", "direction": "both"}},
}

PROGRAM = """
import json, shutil, sys
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
    if name.endswith("-again"):
        if torch.distributed.get_rank() == 0:
            shutil.copytree(out / name.removesuffix("-again"), out / name)
        torch.distributed.barrier()
    train(parse_recipe(recipe), data, out / name, resume=(out / name).exists())
if own_group:
    seen = torch.ones(1)
    torch.distributed.all_reduce(seen)  # the caller's group is still there
    assert seen.item() == 2
    torch.distributed.destroy_process_group()
"""
"""Several trainings in one program, in a process group of the caller if there is one word more.

Those that are there already go on, and so does NAME-again, from the last checkpoint of NAME.
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
    sharded = recipe | {"fsdp": True}
    two = tmp_path / "two"
    train(parse_recipe(recipe), data, tmp_path / "whole")
    train(parse_recipe(sharded), data, tmp_path / "sharded")
    runs = {"continued": "whole", "damaged": "whole", "shards-continued": "sharded"}
    for name, source in runs.items():
        shutil.copytree(tmp_path / source, two / name)
        shutil.rmtree(two / name / "model")
    last = last_checkpoint(two / "damaged")
    (last / "optimizer.safetensors").write_bytes(b"")
    names = (*runs, "begun", "shards", "shards-again")
    recipes = {name: sharded if name.startswith("shards") else recipe for name in names}
    recipes["shards-again"] = sharded | {"batch": recipe["batch"] | {"gradient_cache": "on"}}
    train_in_two(recipes, data, two)
    assert (two / "damaged" / "checkpoints" / f"damaged-{last.name}").is_dir()
    sizes = [path.stat().st_size for path in (last_checkpoint(two / "shards") / "shards").iterdir()]
    assert len(sizes) == 2
    assert max(sizes) < 0.6 * sum(sizes)  # and not one that holds all
    assert same_bytes(two / "shards", two / "shards-again")
    for name in ("begun", "shards"):
        (two / name / "model").rename(two / f"{name}-model")
        train(parse_recipe(recipes[name]), data, two / name, resume=True)
    for name in names:
        assert_same_weights(tmp_path / "whole", two / name)
        steps = [[line["step"] for line in log_of(run)] for run in (two / name, tmp_path / "whole")]
        assert steps[0] == steps[1]


REFUSED: dict[str, dict[str, Any]] = {
    "lora.rank": {"lora": {"rank": 2}},
    "optimizer.unfreeze_over": {"optimizer": {"unfreeze_over": 0.5}},
    "precision": {"precision": "fp16"},
    "encoder": {"encoder": {"image_size": 24, "image_width": 32}},
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_does_not_go_together_with_shards(key: str, tmp_path: Path) -> None:
    shop = tiny_shop(tmp_path / "shop")
    clip = tiny_clip(tmp_path / "clip")
    encoder = {"kind": "transformers", "model": str(clip)}
    recipe = {"fsdp": True, "trackers": []} | REFUSED[key]
    if key in ("lora.rank", "optimizer.unfreeze_over"):
        recipe["encoder"] = encoder
    built = parse_recipe(recipe)
    with pytest.raises(RecipeError, match=f"recipe, {key}: does not go together with fsdp"):
        check_sharding(built, build_model(parse_recipe(recipe | {"fsdp": False}), shop))


def same_bytes(one: Path, two: Path) -> bool:
    folders = (one / "model", two / "model")
    first, second = (
        {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    )
    return first == second


def assert_same_weights(one: Path, two: Path) -> None:
    expected, found = (RankingModel.load(f / "model").state_dict() for f in (one, two))
    for key, value in expected.items():
        torch.testing.assert_close(value, found[key], rtol=1e-3, atol=1e-5, msg=f"{two}: {key}")
