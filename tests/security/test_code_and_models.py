"""Recipes, models and runs of others: no code of theirs runs, and nothing of theirs is followed."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confined import Confined
from hostile import TEXTS, bounded, tables, write_dataset

TINY = (
    *("--set", "optimizer.steps=1", "--set", "encoder.dimension=8", "--set", "batch.size=4"),
    *("--set", "dev.every=0", "--set", "trackers=[]"),
)
NAMES = st.sampled_from(
    (
        *("theirs:run", "package:theirs", "os:system", "builtins:exec", "a.b:run", "a:b:c"),
        *(
            "subprocess:run",
            "package:../theirs",
            "pickle:loads",
            ":",
            "theirs:",
            ":run",
            "package:",
        ),
    )
)


class _Boom:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return exec, ("raise SystemExit('a pickle was read')",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set of hostile texts, a recipe, and a run."""
    place = Confined(tmp_path_factory.mktemp("trained"))
    texts = ["\x1b]0;PWNED\x07 red [bold] mug", "</document> $\\frac{$ \u202e", "{0} %s ../.."]
    write_dataset(place.here / "data", tables(["../x", "[/red]"], texts))
    said = place.run("recipe", "data", "--out", "recipe.toml", outputs=["recipe.toml"])
    assert said.code == 0
    said = place.run("train", "recipe.toml", "--out", "run", *TINY, outputs=["run"])
    assert said.code == 0
    outputs = ["e.json", "e.rankings.parquet", "e.queries.parquet"]
    assert place.run("evaluate", "run/model", "data", "--out", "e.json", outputs=outputs).code == 0
    assert place.run("search", "run/model", "data", texts[0]).code == 0
    return place.here


@given(name=NAMES, where=st.sampled_from(("weight", "model", "text_model", "option")))
@bounded(6)
def test_a_recipe_imports_nothing_without_leave(
    tmp_path_factory: pytest.TempPathFactory, trained: Path, name: str, where: str
) -> None:
    place = Confined(tmp_path_factory.mktemp("code"))
    for folder in (place.here, place.theirs):
        (folder / "theirs.py").write_text("raise SystemExit('code of others ran')\n")
    shutil.copytree(trained / "data", place.here / "data")
    text = (trained / "recipe.toml").read_text()
    key = {"weight": "loss.weight", "model": "encoder.model"}.get(where, "encoder.text_model")
    (place.here / "recipe.toml").write_text(text)
    if where == "option":
        place.run("weights", "data", "--weight", name)
        place.run("recipe", "data", "--weight", name)
    said = place.run(
        *("train", "recipe.toml", "--out", "run", *TINY, "--set", f"{key}={json.dumps(name)}"),
        *("--set", "data.dataset=data"),
        outputs=["run"],
    )
    # other names of models are folders or names of the hub, and an encoder from scratch has none
    assert said.code == 2 or (key != "loss.weight" and not name.startswith("package:"))


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Boom()))


def _link(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def _nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def _nothing(path: Path) -> None:
    path.unlink(missing_ok=True)


def _code(path: Path) -> None:
    said = json.loads(path.read_text()) if path.suffix == ".json" and path.exists() else {}
    path.write_text(json.dumps({**said, "auto_map": {"AutoModel": "theirs.M"}, "model_type": "x"}))


@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from(
                (
                    *("rankfield.json", "composed.json", "text/config.json", "text/tower.json"),
                    *("text/model.safetensors", "projections.safetensors", "text/tokenizer.json"),
                    *("text/tokenizer_config.json", "text/pytorch_model.bin", "text/modules.json"),
                )
            ),
            st.sampled_from((_pickle, _link, _nested, _nothing, _code)),
        ),
        min_size=1,
        max_size=2,
    ),
    query=TEXTS,
)
@bounded(6)
def test_a_model_folder_runs_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    trained: Path,
    changes: list[tuple[str, Callable[[Path], None]]],
    query: str,
) -> None:
    place = Confined(tmp_path_factory.mktemp("model"))
    shutil.copytree(trained / "data", place.here / "data")
    shutil.copytree(trained / "run" / "model", place.theirs / "model")
    (place.theirs / "model" / "text" / "theirs.py").write_text("raise SystemExit('it ran')\n")
    for name, change in changes:
        change(place.theirs / "model" / name)
    place.run("search", place.theirs / "model", "data", query)
    recipe = (trained / "recipe.toml").read_text()
    (place.here / "recipe.toml").write_text(recipe)
    said = place.run(
        *("train", "recipe.toml", "--out", "run", *TINY, "--set", 'encoder.kind="composed"'),
        *("--set", f"encoder.text_model={json.dumps(str(place.theirs / 'model' / 'text'))}"),
        *("--set", "data.dataset=data"),
        outputs=["run"],
    )
    assert said.code in (0, 2)
