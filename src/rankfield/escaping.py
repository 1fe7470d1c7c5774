"""Foreign text as plain text in Markdown, YAML, spreadsheets and pages: a function for each."""

from __future__ import annotations

import json
import re
from typing import Any

import polars as pl

from rankfield.terminal import printable_values

__all__ = [
    "fenced_code",
    "latex_text",
    "markdown_text",
    "spreadsheet_cells",
    "visible_controls",
    "yaml_value",
]

# Of controls those that no text needs; marks that only change the order inside a line stay.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>#|~&$"})
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "{}$&#%_"}
    | {c: f"{{{c}}}" for c in "[]"}  # no option of a line's end
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\char34{}"}
    | {"`": r"\textasciigrave{}"}
)
_LIGATURE = re.compile("(?<=-)-|(?<=')'")
_BLOCK = re.compile(r"[-+](?=\s|$)|-{2,}|=+|\d{1,9}(?=[.)](?:\s|$))")
_ADDRESS = re.compile(r"://|(?<=www)\.", re.IGNORECASE)
# What Excel, LibreOffice and Google Sheets take for the start of a formula; a plain number is none.
_FORMULA = r"^[\s\x00]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_NUMBER = r"^[+\-]?[0-9]+(\.[0-9]+)?([eE][+\-]?[0-9]+)?$"


def visible_controls(text: str) -> str:
    r"""Return a text for a page or a figure, control and overriding characters as ``\x1b``."""
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)


def markdown_text(text: object) -> str:
    """Return foreign text as one line in which nothing is Markdown, HTML, TeX or an address.

    CommonMark and GitHub's tables, autolinks and formulas are meant; what is shown is the text.
    """
    line = visible_controls(" ".join(str(text).split())).translate(_MARKDOWN)
    line = _ADDRESS.sub(lambda match: "\\" + match[0], line)
    if block := _BLOCK.match(line):
        # "- ", "+ ", "1. " or "---" would begin a list or a rule
        cut = len(block[0]) if block[0].isdigit() else 0
        line = f"{line[:cut]}\\{line[cut:]}"
    return line


def latex_text(text: object) -> str:
    r"""Return foreign text as one line in which nothing is a command of LaTeX: ``_`` is ``\_``.

    Letters of any script stay; a document in them needs LuaLaTeX, XeLaTeX or utf8 input.
    """
    line = visible_controls(" ".join(str(text).split())).translate(_LATEX)
    return _LIGATURE.sub(lambda match: f"{{{match[0]}}}", line)


def fenced_code(text: str, language: str) -> str:
    """Return a block of code whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible_controls(text).rstrip()}\n{fence}"


def yaml_value(value: Any) -> str:
    """Return a plain value as one line of YAML: JSON, its escapes those that both know."""
    return printable_values(json.dumps(value, ensure_ascii=False, allow_nan=False), "toml")


def spreadsheet_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table for people as CSV: text that a spreadsheet would run begins with ``'``.

    That is what begins with = + - @, a tab or a line break, numbers apart. Names of columns too.
    A file that is read back by a program must not go through here: it would not be the same.
    """
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    risky = pl.col(texts).str.contains(_FORMULA) & ~pl.col(texts).str.contains(_NUMBER)
    safe = frame.with_columns(
        pl.when(risky).then(pl.lit("'") + pl.col(texts)).otherwise(pl.col(texts)).name.keep()
        if texts
        else []
    )
    return safe.rename({n: f"'{n}" for n in frame.columns if re.search(_FORMULA, n)})
