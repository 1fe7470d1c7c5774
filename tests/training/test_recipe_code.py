"""A recipe is data: the code that it names is imported with leave alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rankfield.cli.main import main
from rankfield.errors import RecipeError
from rankfield.training import load_recipe, parse_recipe, train
from rankfield.training.template import recipe_text
from training_data import tiny_shop

CODE = {
    "loss.weight": {"loss": {"weight": "stranger:weights"}},
    "encoder.model": {"encoder": {"kind": "sentence-transformers", "model": "package:stranger"}},
    "encoder.text_model": {"encoder": {"kind": "composed", "text_model": "package:stranger"}},
    "encoder.vision_model": {"encoder": {"kind": "composed", "vision_model": "package:stranger"}},
}


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a mark when it is imported; returns where."""
    mark = tmp_path / "imported"
    code = (
        f"open({str(mark)!r}, 'w').close()\n"
        "def weights(scores, scale):\n    return scores * 0 + 1\n"
        f"def get_model_path():\n    return {str(tmp_path / 'nowhere')!r}\n"
    )
    (tmp_path / "stranger.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stranger", raising=False)
    return mark


@pytest.mark.parametrize("key", CODE)
def test_code_needs_leave(key: str, stranger: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = CODE[key]
    with pytest.raises(RecipeError, match=rf"{key} = '\S*stranger\S*'.*--allow-code"):
        parse_recipe(values)
    section, _, name = key.partition(".")
    file = tmp_path / "recipe.toml"
    lines = [f'{one} = "{value}"' for one, value in values[section].items()]
    file.write_text("\n".join([f"[{section}]", *lines]), "utf-8")
    with pytest.raises(RecipeError, match=rf"recipe.toml: .*{key}"):
        load_recipe(file)
    load_recipe(file, allow_code=True)
    with pytest.raises(RecipeError, match=key):
        load_recipe(file, [f"{key}={values[section][name]}"])
    assert not stranger.exists(), "reading a recipe imports nothing"


def test_with_leave_it_runs(stranger: Path, tmp_path: Path) -> None:
    shop = tiny_shop(tmp_path / "shop", photos=False)
    values = {
        "trackers": [],
        "loss": {"weight": "stranger:weights"},
        "batch": {"size": 8},
        "optimizer": {"steps": 1},
        "dev": {"every": "off"},
    }
    train(parse_recipe(values, allow_code=True), shop, tmp_path / "run")
    assert stranger.exists()
    with pytest.raises(RecipeError, match=r"stranger:weights"):
        recipe_text(shop, weight="stranger:weights")
    assert "stranger:weights" in recipe_text(shop, weight="stranger:weights", allow_code=True)


@pytest.mark.parametrize(
    "command",
    [
        ["train", "recipe.toml", "--out", "run"],
        ["train", "plain.toml", "--out", "run", "--set", "loss.weight=stranger:weights"],
        ["evaluate", "shop", "--baseline", "untrained", "--recipe", "recipe.toml"],
        ["weights", "shop", "--weight", "stranger:weights"],
        ["recipe", "shop", "--weight", "stranger:weights"],
    ],
    ids=lambda words: " ".join(words[:4]),
)
def test_every_command_asks(
    command: list[str],
    stranger: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny_shop(tmp_path / "shop", photos=False)
    plain = f'[data]\ndataset = "{tmp_path / "shop"}"\n'
    (tmp_path / "plain.toml").write_text(plain, "utf-8")
    named = plain + '[loss]\nweight = "stranger:weights"\n'
    (tmp_path / "recipe.toml").write_text(named, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["rankfield", *command])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "stranger:weights" in message
    assert "--allow-code" in message
    assert not stranger.exists()
    assert not (tmp_path / "run").exists()
