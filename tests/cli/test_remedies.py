"""Remedies name commands, options, recipe keys and extras that exist."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.core import TyperGroup
from typer.main import get_command

import rankfield
from rankfield.cli.main import app
from rankfield.training import Recipe

ROOT = Path(rankfield.__file__).parent
SECTIONS = {
    name: set(kind.model_fields)
    for name, info in Recipe.model_fields.items()
    if isinstance(kind := info.annotation, type) and issubclass(kind, BaseModel)
}


def texts(node: ast.AST) -> Iterator[str]:
    """The constant parts of each text; what a message fills in is \u2026."""
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr):
            yield "".join(
                str(value.value) if isinstance(value, ast.Constant) else "\u2026"
                for value in part.values
            )
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def remedies() -> list[tuple[str, str]]:
    """(file and line, text) of every remedy, and of every constant that one may be."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        nodes = [
            k.value for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg == "remedy"
        ]
        for line in tree.body:
            if isinstance(line, ast.Assign) and isinstance(
                line.value, ast.Constant | ast.JoinedStr
            ):
                name = line.targets[0]
                nodes += [line.value] if isinstance(name, ast.Name) and name.id.isupper() else []
        for node in nodes:
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            found += [(place, text) for text in texts(node)]
    return found


def commands() -> dict[str, set[str]]:
    """`split`, `import trec` \u2026 \u2192 its options."""
    found: dict[str, set[str]] = {}

    def visit(name: str, command: Any) -> None:
        found[name] = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        if isinstance(command, TyperGroup):
            for verb, inner in command.commands.items():
                visit(f"{name} {verb}".strip(), inner)

    visit("", get_command(app))
    return found


COMMANDS = commands()
REMEDIES = remedies()


def test_there_are_remedies_to_look_at() -> None:
    assert len(REMEDIES) > 150
    assert "--fix" in COMMANDS["check"]
    assert "workers" in SECTIONS["data"]


def test_commands_and_their_options() -> None:
    seen = 0
    for place, text in REMEDIES:
        for quoted in re.findall(r"`rankfield ([^`]*)`", text):
            words = quoted.split()
            verb = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
            if "\u2026" in verb:
                continue
            assert verb in COMMANDS, f"{place}: rankfield {quoted}"
            for option in re.findall(r"--[a-z][a-z-]*", quoted):
                assert option in COMMANDS[verb], f"{place}: rankfield {quoted}"
            seen += 1
    assert seen > 20


def test_options_without_a_command_belong_to_one() -> None:
    every = {"--help"}.union(*COMMANDS.values())
    seen = 0
    for place, text in REMEDIES:
        plain = re.sub(r"`[^`]*`|docker run[^)]*", "", text)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+(?![\w-]*\u2026)", plain):
            assert option in every, f"{place}: {text}"
            seen += 1
    assert seen > 10


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_keys_of_recipes(section: str) -> None:
    for place, text in REMEDIES:
        for key in re.findall(rf"(?<![\w./]){section}\.([a-z_]+)", text):
            toml = key == "toml" or (section, key) == ("dataset", "toml")
            assert toml or key in SECTIONS[section] or key.endswith("_"), f"{place}: {text}"


def test_extras() -> None:
    pyproject = ROOT.parents[1] / "pyproject.toml"
    if not pyproject.is_file():
        pytest.skip("the package is installed, not checked out")
    extras = tomllib.loads(pyproject.read_text("utf-8"))["project"]["optional-dependencies"]
    seen = 0
    for place, text in REMEDIES:
        for extra in re.findall(r"rankfield\[([^\]]*)\]", text):
            assert "\u2026" in extra or extra in extras, f"{place}: {text}"
            seen += 1
    assert seen > 2
