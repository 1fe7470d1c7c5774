"""The demo at a small size: whole, interrupted and gone on with, and refused."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rankfield.cli import demo as demo_module
from rankfield.cli.main import main
from rankfield.curation import split
from rankfield.index import open_index
from rankfield.synthetic import sample_shop
from rankfield.training import load_recipe
from rankfield.training.template import recipe_text

ROOT = Path(__file__).parents[2]
SIZE = ["--documents", "200", "--queries", "60", "--steps", "3"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["rankfield", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_demo_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    original = demo_module._train_and_evaluate

    def interrupt(recipe: Any, data: Any, folder: Path, label: str) -> Any:
        if label == "GCL":
            raise KeyboardInterrupt
        return original(recipe, data, folder, label)

    monkeypatch.setattr(demo_module, "_train_and_evaluate", interrupt)
    assert run(monkeypatch, "demo", str(out), *SIZE) == 130
    clip = (out / "clip" / "results.json").read_bytes()
    assert not (out / "report.html").exists()

    monkeypatch.setattr(demo_module, "_train_and_evaluate", original)
    assert run(monkeypatch, "demo", str(out), *SIZE) == 0
    assert (out / "clip" / "results.json").read_bytes() == clip
    text = capsys.readouterr().out
    assert "zero_shot" in text
    assert "Next:" in text
    last = shlex.split(text.splitlines()[-1])
    assert last[:2] == ["rankfield", "serve"]
    assert last[-1] == "--open"
    assert (out / "index" / "ranked").samefile(last[2])
    for folder in last[2:5]:
        assert len(open_index(folder)) == 200
    page = (out / "report.html").read_text("utf-8")
    assert "CLIP" in page
    (fairer,) = (line.split("`")[1] for line in text.splitlines() if "batch.choice=score" in line)
    words = shlex.split(fairer)
    words[words.index("--out") + 1] = str(tmp_path / "by-score")
    assert run(monkeypatch, *words[1:]) == 0
    assert load_recipe(tmp_path / "by-score" / "recipe.toml").batch.choice == "score"
    splits = json.loads((out / "ranked" / "results.json").read_text("utf-8"))["splits"]
    assert set(splits) == {"in_domain", "novel_query", "novel_document", "zero_shot"}

    assert run(monkeypatch, "demo", str(out), *SIZE, "--seed", "1") == 2
    assert "not an unfinished demo of these sizes" in capsys.readouterr().err


def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    assert run(monkeypatch, "demo", str(tmp_path), *SIZE) == 2
    assert "already exists" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_recipe_for_the_shop_is_the_demos() -> None:
    def settings(path: Path) -> dict[str, Any]:
        return tomllib.loads(path.read_text("utf-8"))

    ours = settings(ROOT / "recipes" / "shop.toml")
    demo = settings(Path(demo_module.__file__).with_name("demo.toml"))
    for section in ("data", "encoder", "batch", "optimizer", "dev"):
        assert ours[section] == demo[section], section
    assert "loss" not in ours | demo  # the default


def test_the_demo_trains_what_a_recipe_for_its_shop_says(tmp_path: Path) -> None:
    shop = sample_shop(tmp_path / "shop", documents=300, queries=80)
    data = split(shop).save(tmp_path / "split")
    for label, method in demo_module.RUNS.items():
        written = tomllib.loads(recipe_text(data, method=method))
        demo = demo_module._recipe(label, data, None, 0).model_dump()
        sized = {"batch": {"size": 128}, "optimizer": {"steps": 800}}
        for section in ("loss", "batch", "optimizer"):
            expected = written[section] | sized.get(section, {})
            assert expected == {key: demo[section][key] for key in expected}, (label, section)
