"""A model is in memory once: while it is loaded, and while it is published."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads /proc"),
]

PROGRAM = """
import gc, json, sys, threading
from pathlib import Path
import rankfield.publishing.publication
from rankfield.encoders import RankingModel
from rankfield.publishing import publish
from tiny_models import tiny_clip

def taken():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

def peak(work):
    gc.collect()
    before, seen, done = taken(), [], threading.Event()
    def watch():
        while not done.wait(0.002):
            seen.append(taken())
    watching = threading.Thread(target=watch)
    watching.start()
    work()
    done.set()
    watching.join()
    return max(seen, default=before) - before

folder = Path(sys.argv[1])
layouts = ["sentence-transformers", "transformers"]
tiny = tiny_clip(folder / "tiny")
# once, so that libraries and their buffers are there before
publish(tiny, folder / "warm", layouts)
RankingModel.from_pretrained(tiny, device="cpu").save(folder / "small")
RankingModel.load(folder / "small")
large = tiny_clip(folder / "large", width=1024, layers=3)
RankingModel.from_pretrained(large, device="cpu").save(folder / "model")

def load_and_use():
    model = RankingModel.load(folder / "model")
    model.encode_queries(["red ball"])
    sum(float(weights.sum()) for weights in model.state_dict().values())  # read every page

found = {"load": peak(load_and_use)}
for layout in layouts:
    found[layout] = peak(lambda: publish(folder / "model", folder / layout, layout))
found["weights"] = (folder / "model" / "model.safetensors").stat().st_size / 2**20
print(json.dumps(found))
"""


def test_weights_are_held_once(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {tests!r}){PROGRAM}", tmp_path],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    weights = found.pop("weights")
    assert weights > 100
    for work, mebibytes in found.items():
        assert 0.5 * weights < mebibytes < 1.6 * weights, (
            f"{work}: {mebibytes:.0f} of {weights:.0f}"
        )
