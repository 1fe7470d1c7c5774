"""Project and name of a run reach W&B, MLflow and Trackio, with the recipe's settings."""

from __future__ import annotations

from typing import Any

import pytest
from accelerate import Accelerator, tracking

from rankfield.training.accelerator import make_accelerator, start_trackers
from rankfield.training.recipe import parse_recipe


def test_project_name_and_settings_are_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    told: dict[str, Any] = {}
    for kind in (tracking.WandBTracker, tracking.MLflowTracker, tracking.TrackioTracker):
        monkeypatch.setattr(kind, "start", lambda self: told.update({self.name: vars(self)}))
        monkeypatch.setattr(
            kind,
            "store_init_configuration",
            lambda self, values: told.update({f"{self.name}.settings": values}),
        )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    recipe = parse_recipe(
        {
            "name": "gcl-large",
            "project": "shop search",
            "trackers": ["tensorboard", "wandb", "mlflow", "trackio"],
            "optimizer": {"steps": 7},
        }
    )
    accelerator: Accelerator = make_accelerator(recipe, tmp_path)
    start_trackers(recipe, accelerator)
    for tracker in accelerator.trackers[:1]:
        tracker.finish()
    assert (told["wandb"]["run_name"], told["wandb"]["init_kwargs"]) == (
        "shop search",
        {"name": "gcl-large"},
    )
    assert told["trackio"]["init_kwargs"] == {"name": "gcl-large"}
    assert told["trackio"]["run_name"] == "shop search"
    assert (told["mlflow"]["experiment_name"], told["mlflow"]["run_name"]) == (
        "shop search",
        "gcl-large",
    )
    for name in ("wandb", "mlflow", "trackio"):
        settings = told[f"{name}.settings"]
        assert settings["optimizer.steps"] == 7
        assert all(isinstance(value, bool | float | int | str) for value in settings.values())
    assert (tmp_path / "tensorboard").is_dir()
