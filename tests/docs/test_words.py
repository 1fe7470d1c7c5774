"""One word for one thing: what the glossary replaced does not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TEXTS = [
    *SOURCES,
    *sorted((ROOT / "src").rglob("*.html")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]

INSTEAD = {
    r"twins?": "near duplicate, or duplicate",
    r"likeness(es)?": "similarity criterion",
    r"falling": "descending, or decreasing",
    r"rising": "ascending, or increasing",
    r"to the letter": "verbatim",
    r"mend(s|ed|ing)?": "fix",
    r"unheard": "not yet read, or unknown",
    r"stands? twice": "is duplicated",
    r"anew": "again",
    r"told by": "detected from",
    r"says else": "is given",
    r"the first of equals": "ties keep the first",
    r"normalisers?": "reduction",
}
"""Superseded word, as a pattern of whole words → what to write."""

NAMES = re.compile(r"picture|photo|twin|likeness|falling|rising|normaliser", re.IGNORECASE)
"""Superseded words in names of code; the glossary's are image, near duplicate, descending …"""

ALLOWED_TEXTS = {
    ("docs/recipe.md", "normaliser"),
    ("src/rankfield/training/objective.py", "normaliser"),
}
"""(file, word): the former word of a recipe, which is still read."""

ALLOWED_NAMES = {
    ("src/rankfield/cli/judge.py", "photo_tokens"),
    ("src/rankfield/judging/cost.py", "photo_tokens"),
}
"""(file, name): an option, --photo-tokens."""


def superseded(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, word, what to write instead)."""
    for pattern, instead in INSTEAD.items():
        for found in re.finditer(rf"\b{pattern}\b", text, re.IGNORECASE):
            yield text.count("\n", 0, found.start()) + 1, found[0].lower(), instead


def names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module gives: of functions, classes, parameters and variables."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_superseded_word() -> None:
    found = [
        f"{relative(path)}:{line}: {word!r}; write {instead}"
        for path in TEXTS
        for line, word, instead in superseded(path.read_text("utf-8"))
        if (relative(path), word) not in ALLOWED_TEXTS
    ]
    assert not found, "\n".join(found)


def test_no_superseded_name() -> None:
    found = [f"{relative(path)}: the file's name" for path in SOURCES if NAMES.search(path.stem)]
    found += [
        f"{relative(path)}: {name}"
        for path in SOURCES
        for name in sorted(set(names(ast.parse(path.read_text("utf-8")))))
        if NAMES.search(name) and (relative(path), name) not in ALLOWED_NAMES
    ]
    assert not found, "\n".join(found)


def test_exceptions_are_still_needed() -> None:
    used = {
        (relative(path), word)
        for path in TEXTS
        for _, word, _ in superseded(path.read_text("utf-8"))
    }
    assert used >= ALLOWED_TEXTS
    given = {
        (relative(path), n) for path in SOURCES for n in names(ast.parse(path.read_text("utf-8")))
    }
    assert given >= ALLOWED_NAMES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a twin\nof Twins", ["twin", "twins"]),
        ("winter, between, amendment", []),
        ("it stands twice, to the letter", ["to the letter", "stands twice"]),
    ],
)
def test_whole_words_are_found(text: str, words: list[str]) -> None:
    assert [word for _, word, _ in superseded(text)] == words


def test_names_that_a_module_gives_are_found() -> None:
    code = "def a(b, *c): d = e\nclass F:\n    g: int = 1\nself.h = i"
    assert sorted(names(ast.parse(code))) == ["F", "a", "b", "c", "d", "g", "h"]
