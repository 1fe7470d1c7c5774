"""docs/metrics.md: "Add a metric", done to the word in a copy of the package, and its tables."""

from __future__ import annotations

import re
from pathlib import Path

from rankfield.metrics import METRICS, Family, Parameter
from scratch_package import follow_page, run_tests

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

MEASURES = """
import sys
from pathlib import Path

import pytest

import rankfield
from rankfield.cli.main import main


def test_the_command_measures_and_lists_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Path(rankfield.__file__).is_relative_to(COPY)
    (tmp_path / "qrels.txt").write_text("q 0 a 1\\nr 0 b 1\\n")
    (tmp_path / "my.run").write_text("q Q0 a 1 2.0 x\\nr Q0 c 1 2.0 x\\n")
    files = [str(tmp_path / "qrels.txt"), str(tmp_path / "my.run")]
    for words, expected in (
        ([*files, "-m", "rprec", "-m", "r_precision(rel=0)@5"], ("Rprec", "0.5000")),
        ([*files, "-m", "Rprec"], ("Rprec", "0.5000")),
        (["--list"], ("Rprec", "relevant documents within R / R")),
    ):
        monkeypatch.setattr(sys, "argv", ["rankfield", "metrics", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
        printed = capsys.readouterr().out
        assert all(word in printed for word in expected), printed
"""


def test_the_page_adds_a_metric_by_one_file_one_line_and_a_test(tmp_path: Path) -> None:
    assert follow_page(PAGE, "Add a metric", tmp_path) == 2  # with the import
    measures = MEASURES.replace("COPY", repr(str(tmp_path)))
    (tmp_path / "tests" / "test_measures.py").write_text(measures, "utf-8")
    assert "2 passed" in run_tests(tmp_path)


def rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_the_page_says_what_each_metric_is() -> None:
    assert rows("Formulas") == [
        [f"`{family.name}@K`", family.description] for family in METRICS.values()
    ]


def test_the_page_says_every_parameter_and_its_default() -> None:
    alike: dict[tuple[str, str], tuple[Parameter, list[Family]]] = {}
    for family in METRICS.values():
        for name, parameter in family.parameters.items():
            alike.setdefault((name, parameter.description), (parameter, []))[1].append(family)
    found = {(row[0], row[3]): row[1:3] for row in rows("Names")}
    assert len(found) == len(alike)
    for (name, description), (parameter, families) in alike.items():
        used, default = found[f"`{name}=`", description]
        only = "({}={})".format(*parameter.only_with) if parameter.only_with else ""
        names = ", ".join(f"`{family.name}{only}`" for family in families)
        lacking = [family for family in METRICS.values() if family not in families]
        if len(lacking) == 1:
            names = f"all but `{lacking[0].name}`"
        assert used == names
        assert default in (parameter.of_scale, f"`{parameter.default_text}`")


def test_every_metric_states_its_declaration() -> None:
    for name, family in METRICS.items():
        assert family.name == name
        assert re.fullmatch(r"[a-z_]+", "".join(family.spellings) or "x")
        assert ("condensed" in family.parameters) == family.can_condense
