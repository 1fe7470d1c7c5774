"""Kill a training at many random moments and damage many checkpoints; resumed, all end equal.

    python tests/kill_training.py --kills 50 --damages 30

A third of the kills come while a checkpoint is being written. Each run has cached gradients,
negatives that it mines, a moving average of its weights and dev measurements. Weights, average,
optimiser, best model, mined negatives and log are compared to the bit with those of a run that
nothing happened to. Exits with 1 if one differs. pytest collects a few of these only.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from damaging import DAMAGES
from killed_training import MODULES, Killed, Training, damaged_and_resumed
from killing import killable_commands


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--damages", type=int, default=30)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--workers", type=int, default=0, help="processes that read ahead")
    chosen = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chance = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as folder, killable_commands(*MODULES) as start:
        training = Training(Path(folder), start)
        training.prepare("first", data={"workers": chosen.workers})  # slower than the next ones
        seconds = training.prepare("whole", data={"workers": chosen.workers})
        print(f"a run takes {seconds:.1f} s", flush=True)
        different = _kill(training, chosen.kills, seconds, chance)
        different += _damage(training, chosen.damages, chosen.seed)
    for line in different:
        print(f"DIFFERS: {line}")
    return 1 if different else 0


def _kill(training: Training, kills: int, seconds: float, chance: random.Random) -> list[str]:
    killed, number = Killed(), 0
    while killed.kills < kills and number < 3 * kills:
        number += 1
        moment = (0, chance.uniform(0, seconds))
        if number % 3 == 0:
            moment = (chance.randint(1, 8), chance.uniform(0, 0.02))
        started = time.monotonic()
        killed.of(training, f"killed-{number}", [moment])
        seconds = 0.8 * seconds + 0.2 * min(seconds, time.monotonic() - started)
        print(f"{killed.kills} kills, {killed.writing} while a checkpoint was written", flush=True)
    print(f"{killed.kills} kills in {number} runs, {len(killed.different)} differences")
    return killed.different


def _damage(training: Training, damages: int, seed: int) -> list[str]:
    different = []
    for number in range(damages):
        kind = DAMAGES[number % len(DAMAGES)]
        found = damaged_and_resumed(training, f"damaged-{number}", kind, seed + number)
        different += found
        print(f"{number + 1} damaged ({kind}), {len(different)} differences", flush=True)
    return different


if __name__ == "__main__":
    sys.exit(main())
