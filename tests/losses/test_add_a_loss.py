"""docs/losses.md, "Add a loss", done to the word in a copy of the package: then it trains."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import rankfield
from rankfield.losses import LOSSES, loss_description

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
    section = PAGE.read_text("utf-8").split("\n## Add a loss\n")[1]
    code, line, test = re.findall(r"^```\w+(?: no-run)?\n(.*?)^```$", section, re.M | re.S)[:3]
    package = tmp_path / "src" / "rankfield"
    shutil.copytree(Path(rankfield.__file__).parent, package)
    (package / "losses" / "pairwise.py").write_text(code, "utf-8")
    table = package / "losses" / "table.py"
    text = table.read_text("utf-8")
    added = [row.removeprefix("+") for row in line.splitlines() if row.startswith("+")]
    kept = next(row[1:] for row in line.splitlines() if row.startswith(" ") and row.strip())
    assert len(added) == 2
    assert kept in text
    table.write_text(text.replace(kept, f"{added[0]}\n{kept}\n{added[1]}"), "utf-8")
    (tmp_path / "test_pairwise.py").write_text(test, "utf-8")
    trains = f"import json\n{TRAINS}".replace("COPY", repr(str(tmp_path)))
    (tmp_path / "test_trains.py").write_text(trains, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_page_lists_each_loss() -> None:
    section = PAGE.read_text("utf-8").split("\n## The losses\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+) \|$", section, re.M)
    assert rows == [
        (name, module.__name__, loss_description(name)) for name, module in LOSSES.items()
    ]
