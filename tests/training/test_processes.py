"""Two processes over gloo train the same model as one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from rankfield.encoders import RankingModel
from rankfield.training import parse_recipe, train
from training_data import tiny_shop

RECIPE = {
    "trackers": [],
    "log_every": 2,
    # Photos would differ: each process normalises its own half of the batch.
    "encoder": {"dimension": 16, "text_width": 32, "text_layers": 1, "max_tokens": 12},
    "batch": {"size": 16},
    "optimizer": {"steps": 6, "learning_rate": 1e-3},
    "dev": {"every": 3},
}

PROGRAM = """
import sys
from rankfield.schema import RankingDataset
from rankfield.training import parse_recipe, train
train(parse_recipe({recipe!r}), RankingDataset.load(sys.argv[1]), sys.argv[2])
"""


def test_two_processes_end_with_the_weights_of_one(tmp_path: Path) -> None:
    data = tiny_shop(tmp_path / "data", photos=False)
    train(parse_recipe(RECIPE), data, tmp_path / "one")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(recipe=RECIPE), "utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, str(program), str(tmp_path / "data"), str(tmp_path / "two")],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    one, two = (RankingModel.load(tmp_path / n / "model").state_dict() for n in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-3, atol=1e-5, msg=name)
