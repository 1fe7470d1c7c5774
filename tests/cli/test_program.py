"""Next steps name the program as the user's shell finds it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rankfield.cli.program import program


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "rankfield"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n", "utf-8")
    path.chmod(0o755)
    return path


def test_a_program_outside_the_path_is_named_by_its_path(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(script.parents[1]))
    monkeypatch.setattr(sys, "argv", [str(script), "demo"])
    assert program() == str(script)


def test_another_program_of_that_name_is_not_meant(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "rankfield"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n", "utf-8")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program() == str(script)


def test_a_program_in_the_path_is_named_by_its_name(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program() == "rankfield"


def test_a_module_run_by_python_has_no_path_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/rankfield/cli/main.py"])
    assert program() == "rankfield"
