"""docs/losses.md, "Add a loss", done to the word in a copy of the package: then it trains."""

from __future__ import annotations

import re
from pathlib import Path

from rankfield.losses import LOSSES, loss_description
from scratch_package import follow_page, run_tests

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"

TRAINS = """
from pathlib import Path

import pytest

import rankfield
from rankfield import parse_recipe, sample_shop, train
from rankfield.errors import RecipeError


def test_recipes_know_it_and_training_learns_by_it(tmp_path: Path) -> None:
    assert Path(rankfield.__file__).is_relative_to(COPY)
    shop = sample_shop(
        tmp_path / "shop", documents=60, queries=20, per_query=10, images=False
    )
    values = {
        "data": {"dataset": str(tmp_path / "shop"), "document_weights": {"title": 1.0}},
        "encoder": {"dimension": 16, "text_width": 32},
        "loss": {"name": "pairwise", "parameters": {"temperature": 2.0}, "per_field": 0.1},
        "batch": {"size": 200, "more_queries": 0},
        "optimizer": {"steps": 12, "learning_rate": 0.01},
        "log_every": 1,
        "dev": {"every": "off"},
        "trackers": [],
    }
    train(parse_recipe(values), shop, tmp_path / "run")
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").open()]
    losses = [line["loss"] for line in log if line["event"] == "train"]
    assert losses[-1] < 0.8 * losses[0]
    values["loss"]["name"] = "pairwize"
    with pytest.raises(RecipeError, match="known losses: .*pairwise.*Did you mean 'pairwise'"):
        parse_recipe(values)
"""


def test_the_page_adds_a_loss_by_one_file_one_line_and_a_test(tmp_path: Path) -> None:
    assert follow_page(PAGE, "Add a loss", tmp_path) == 2  # with the import
    trains = f"import json\n{TRAINS}".replace("COPY", repr(str(tmp_path)))
    (tmp_path / "tests" / "test_trains.py").write_text(trains, "utf-8")
    assert "2 passed" in run_tests(tmp_path)


def test_the_page_lists_each_loss() -> None:
    section = PAGE.read_text("utf-8").split("\n## The losses\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+) \|$", section, re.M)
    assert rows == [
        (name, module.__name__, loss_description(name)) for name, module in LOSSES.items()
    ]
