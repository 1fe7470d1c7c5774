"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rankfield.terminal import cell, console, printable

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["show_table"]


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str | tuple[str, ...]]],
    *,
    words: int = 1,
) -> None:
    """Print a table under its title, as narrow as it can be without a shortened figure.

    Args:
        title: a line above.
        columns: the headings, which may have lines; where all are empty there is no heading.
        rows: a cell for each column; a tuple is the lines of one cell.
        words: how many columns, from the left, hold words, set to the left and kept whole; the
            others hold figures, set to the right, and fold where they must.
    """
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True, show_header=any(columns))
    for place, column in enumerate(columns):
        word = place < words
        table.add_column(
            Text(printable(column)),
            justify="left" if word else "right",
            no_wrap=word,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_text(value, word=place < words) for place, value in enumerate(row)))
    screen = console()
    screen.print(cell(title, "italic"))
    screen.print(table)


def _text(value: str | tuple[str, ...], *, word: bool) -> Text:
    """Return words line by line, as they may hold line breaks of others; figures as they are."""
    from rich.text import Text

    if isinstance(value, str):
        return cell(value) if word else Text(printable(value))
    return Text("\n").join(map(cell, value))
