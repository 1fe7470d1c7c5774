"""Every verb explains itself, and the reference in docs/ names it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankfield.cli.main import VERBS, app
from rankfield.formats.registry import LAYOUTS

ROOT = Path(__file__).parents[2]
COMMANDS = [[verb] for verb in VERBS] + [["import", layout] for layout in LAYOUTS]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    assert "Usage" in result.output
    assert "Example: rankfield" in " ".join(result.output.split())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_documented(command: list[str]) -> None:
    reference = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert f"## `rankfield {' '.join(command)}" in reference


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.strip() == "0.1.0"


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rankfield", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0.1.0"
