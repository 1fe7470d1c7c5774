"""A training killed with SIGKILL, or whose last checkpoint is damaged, ends as one left alone.

`tests/kill_training.py` does the same for many random moments and places.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from killed_training import MODULES, Killed, Training, damaged_and_resumed
from killing import killable_commands


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    with killable_commands(*MODULES) as start:
        training = Training(tmp_path_factory.mktemp("killed"), start)
        training.prepare(optimizer={"steps": 14})
        yield training


def test_a_killed_run_ends_like_one_left_alone(training: Training) -> None:
    killed = Killed()
    killed.of(training, "killed", [(3, 0.0), (1, 0.1), (2, 0.01)])
    assert killed.kills == 3
    assert not killed.different


@pytest.mark.parametrize(("kind", "seed"), [("flipped", 1), ("truncated", 5)])
def test_a_damaged_checkpoint_is_passed_over(training: Training, kind: str, seed: int) -> None:
    assert not damaged_and_resumed(training, f"{kind}-{seed}", kind, seed)
