"""Shows the lines "name, name: meaning" of a class's docstring as a list.

Docstrings of dataclasses describe their fields so, one per line; Markdown would run them together.
"""

from __future__ import annotations

import re

__all__ = ["as_list"]

_FIELD = re.compile(r"(\w+(?:, \w+)*): (.+)")


def as_list(text: str, fields: set[str]) -> str:
    """Return the text with each line that describes `fields` as an item of a Markdown list.

    An item goes on until the next one, a blank line, or a line that is not indented.
    """
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        found = _FIELD.fullmatch(line)
        if found and set(found[1].split(", ")) <= fields:
            names = ", ".join(f"`{name}`" for name in found[1].split(", "))
            lines += [
                *([] if inside or not lines or not lines[-1] else [""]),
                f"- {names}: {found[2]}",
            ]
            inside = True
        else:
            lines.append(line)
            inside = inside and line.startswith(" ")
    return "\n".join(lines)
