"""A file imports from lower layers only, and packages of one layer never from each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "rankfield"

LAYERS = (
    {"__init__", "errors"},
    {
        "messages",
        "module_table",
        "outputs",
        "paths",
        "parsing",
        "expansion",
        "nearby",
        "terminal",
        "unicode_text",
        "closing",
        "durable",
        "extras",
        "lazy_names",
        "foreign_code",
    },
    {
        "files",
        "escaping",
        "progress",
        "field_values",
        "column_names",
        "foreign_files",
        "ranges",
        "sorting",
        "settings",
        "engines",
        "on_device",
    },
    {"io", "cache_folder"},
    {"schema", "images", "web", "work_folder", "marked_folder", "soft_grades"},
    {"metrics", "weighting", "losses", "validate"},
    {"formats", "labels", "curation", "synthetic", "encoders", "search"},
    {"index"},
    {"query", "embedding"},
    {"evaluation", "collect"},
    {"training", "judging"},
    {"report", "integrations", "serving"},
    {"publishing", "loop"},
    {"cli"},
    {"__main__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    """Return the top-level part of the package that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """Return the parts of rankfield that a file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules = [node.module]
            if node.module == "rankfield":
                names = [a.name for a in node.names]
                modules = [f"rankfield.{n}" if n in LEVEL else "rankfield" for n in names]
        elif isinstance(node, ast.Import):
            modules = [a.name for a in node.names]
        else:
            continue
        for module in modules:
            head, _, rest = module.partition(".")
            if head == "rankfield":
                found.add(rest.split(".")[0] or "__init__")
    return found


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in FILES} <= set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    own = part_of(path)
    if own == "__init__":
        return  # the package's own names are loaded lazily, from every layer
    for part in imported_parts(path) - {own}:
        assert LEVEL[part] < LEVEL[own], f"{path.relative_to(ROOT)} imports rankfield.{part}"


def test_the_drawing_shows_these_layers() -> None:
    text = (ROOT.parents[1] / "docs" / "architecture.md").read_text("utf-8")
    drawn: dict[str, int] = {}
    level = 0
    for line in text.partition("```text\n")[2].partition("```")[0].splitlines():
        if line[:2].strip():
            level = int(line[:2])
        drawn |= dict.fromkeys(line[2:].replace("·", " ").split(), level)
    left_out = {"__init__", "__main__"}
    assert drawn == {name: n + 1 for name, n in LEVEL.items() if name not in left_out}


def test_no_relative_imports() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
