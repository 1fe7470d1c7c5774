"""Two processes over gloo train the same models as one."""

from __future__ import annotations

import json
import subprocess
import sys
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
}

PROGRAM = """
import json, sys
import torch
from rankfield.schema import RankingDataset
from rankfield.training import parse_recipe, train
again, own_group = "again" in sys.argv[4], "own group" in sys.argv[4]
if own_group:
    torch.distributed.init_process_group("gloo")
data, recipe = RankingDataset.load(sys.argv[1]), parse_recipe(json.loads(sys.argv[3]))
train(recipe, data, sys.argv[2])
if again:
    train(recipe, data, sys.argv[2] + "-again")
if own_group:
    seen = torch.ones(1)
    torch.distributed.all_reduce(seen)  # the caller's group is still there
    assert seen.item() == 2
    torch.distributed.destroy_process_group()
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
    recipe: dict[str, Any], data: RankingDataset, out: Path, *, group: str = ""
) -> None:
    program = out.with_suffix(".py")
    program.write_text(PROGRAM, "utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, program, str(data.root), out, json.dumps(recipe), group],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", VARIANTS)
def test_two_processes_end_with_the_weights_of_one(
    data: RankingDataset, tmp_path: Path, name: str
) -> None:
    recipe = recipe_of(VARIANTS[name])
    train(parse_recipe(recipe), data, tmp_path / "one")
    train_in_two(recipe, data, tmp_path / "two")
    one, two = (RankingModel.load(tmp_path / n / "model").state_dict() for n in ("one", "two"))
    for key, value in one.items():
        torch.testing.assert_close(value, two[key], rtol=1e-3, atol=1e-5, msg=key)
    for mined in sorted((tmp_path / "one" / "negatives").glob("*")):
        other = load_negatives(tmp_path / "two" / "negatives" / mined.name, data)
        pairs = load_negatives(mined, data).select("query_id", "doc_id")
        assert pairs.equals(other.select("query_id", "doc_id"))
    assert (tmp_path / "two" / "negatives").exists() == (name == "negatives")


@pytest.mark.parametrize("group", ["again", "again, own group"])
def test_two_trainings_in_one_program(data: RankingDataset, tmp_path: Path, group: str) -> None:
    recipe = recipe_of({"optimizer": {"steps": 2}, "dev": {"every": 0}})
    train_in_two(recipe, data, tmp_path / "run", group=group)
    names = ("run", "run-again")
    one, two = (RankingModel.load(tmp_path / name / "model").state_dict() for name in names)
    for key, value in one.items():
        torch.testing.assert_close(value, two[key], msg=key)
