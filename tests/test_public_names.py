"""Public names come through `__all__`, exist, are documented; importing stays light."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import subprocess
import sys

import pytest

import rankfield

OPTIONAL = {} if importlib.util.find_spec("triton") else {"rankfield.losses.tile_kernels"}
"""Modules that only run where torch for CUDA brings Triton along."""

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rankfield.__path__, "rankfield.")
    if module.name not in OPTIONAL
)


@pytest.mark.parametrize("name", MODULES)
def test_all_names_exist_and_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{name}.{public}"


@pytest.mark.parametrize("name", MODULES)
def test_nothing_public_is_left_out_of_all(name: str) -> None:
    module = importlib.import_module(name)
    own = {
        public
        for public, thing in vars(module).items()
        if not public.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == name
    }
    assert own <= set(module.__all__)


def test_top_level_names_load() -> None:
    for public in rankfield.__all__:
        assert getattr(rankfield, public) is not None
    assert set(rankfield._HOMES) | {"__version__"} == set(rankfield.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rankfield.nonsense


def test_importing_rankfield_loads_no_heavy_library() -> None:
    program = (
        "import sys, rankfield, rankfield.cli.main\n"
        "heavy = {'torch', 'transformers', 'polars', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_help_of_a_verb_loads_no_heavy_library() -> None:
    program = (
        "import contextlib, io, sys\n"
        "from typer.main import get_command\n"
        "from rankfield.cli.main import VERBS, app\n"
        "heavy, command = {'torch', 'transformers', 'polars', 'numpy'}, get_command(app)\n"
        "for verb in VERBS:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        command([verb, '--help'])\n"
        "    if found := heavy & set(sys.modules):\n"
        "        sys.exit(f'{verb} loads {sorted(found)}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
