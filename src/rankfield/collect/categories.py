"""Category trees, and queries made of their categories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rankfield.errors import DataError
from rankfield.parsing import parse_json
from rankfield.paths import read_bytes

__all__ = ["LONGEST_FILE", "Category", "leaves", "queries_of", "read_categories"]

LONGEST_FILE = 1 << 28
"""Bytes of a file of queries, categories or a prompt that are read."""

Category = tuple[str, ...]
"""The names from the top of the tree to the category."""

_NUMBER = re.compile(r"^\d+\s+-\s+")


def read_categories(path: Path) -> list[Category]:
    """Return every category of a tree, parents too, each once, in the order of the file.

    A .json file holds nested tables or lists: {"Kitchen": {"Mugs": {}, "Pans": ["Woks"]}}. Any
    other file holds one category a line, as "Kitchen > Mugs"; lines that begin with # are skipped,
    and so is a number before the names ("166 - Kitchen > Mugs", as Google's taxonomy has).

    Raises:
        DataError: no such file, no category, an empty name, a value that is no tree; says where.
    """
    try:
        text = read_bytes(path, LONGEST_FILE, DataError).decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError("there is no such file", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 ({error.reason} at byte {error.start})",
            where=str(path),
            remedy="Save the file as UTF-8.",
        ) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(path)) from None
    found = _of_json(path, text) if path.suffix.lower() == ".json" else _of_lines(path, text)
    categories = list(dict.fromkeys(found))
    if not categories:
        raise DataError(
            "expected at least one category, found none",
            where=str(path),
            remedy="Write one a line, as Kitchen > Mugs.",
        )
    return categories


def _of_lines(path: Path, text: str) -> Iterator[Category]:
    for row, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        names = tuple(" ".join(n.split()) for n in _NUMBER.sub("", line.strip()).split(">"))
        if not all(names):
            raise DataError(
                f"a category without a name in {line.strip()!r}",
                where=f"{path}, row {row}",
                remedy="Write the names with one > between them.",
            )
        yield from _with_parents(names)


def _of_json(path: Path, text: str) -> Iterator[Category]:
    try:
        tree = parse_json(text)
    except ValueError as error:
        raise DataError(f"not valid JSON ({error})", where=str(path)) from None
    for names in _walk(path, tree, ()):
        yield from _with_parents(names)


def _walk(path: Path, tree: Any, above: Category) -> Iterator[Category]:
    entries: list[tuple[Any, Any]]
    if isinstance(tree, dict):
        entries = list(tree.items())
    elif isinstance(tree, list) and not any(isinstance(entry, list) for entry in tree):
        # a list may mix leaves with tables of further levels
        entries = [
            pair
            for entry in tree
            for pair in (entry.items() if isinstance(entry, dict) else [(entry, None)])
        ]
    elif tree is None:
        entries = []
    else:
        entries = [(tree, None)]
    for name, below in entries:
        if not isinstance(name, str) or not name.strip():
            raise DataError(
                f"expected the name of a category, found {str(name)[:40]!r}",
                where=f"{path}, below {' > '.join(above) or 'the top'}",
                remedy='Write tables and lists of names: {"Kitchen": ["Mugs", "Pans"]}.',
            )
        names = (*above, " ".join(name.split()))
        yield names
        yield from _walk(path, below, names)


def _with_parents(names: Category) -> Iterator[Category]:
    for length in range(1, len(names) + 1):
        yield names[:length]


def leaves(categories: list[Category]) -> list[Category]:
    """Return the categories with none below them."""
    parents = {category[:-1] for category in categories}
    return [category for category in categories if category not in parents]


def queries_of(category: Category, templates: list[str]) -> Iterator[str]:
    """Yield a query for each template: {leaf}, {parent}, {top} and {path} become names.

    Of a category at the top, templates with {parent} are skipped: it has none.
    """
    names = {
        "leaf": category[-1],
        "parent": category[-2] if len(category) > 1 else "",
        "top": category[0],
        "path": " ".join(category),
    }
    for template in templates:
        if "{parent}" in template and not names["parent"]:
            continue
        yield re.sub(r"\{(leaf|parent|top|path)\}", lambda m: names[m[1]], template).strip()
