"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["show_table"]


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1
) -> None:
    """Print a table under its title, as narrow as it can be without a shortened figure.

    Args:
        title: a line above.
        columns: the headings; where all are empty there is no heading.
        rows: a cell for each column.
        words: how many columns, from the left, hold words, set to the left and kept whole; the
            others hold figures, set to the right, and fold where they must.
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True, show_header=any(columns))
    # As Text, since rich would take brackets in labels and file names for markup.
    for place, column in enumerate(columns):
        word = place < words
        table.add_column(
            Text(column),
            justify="left" if word else "right",
            no_wrap=word,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    console.print(Text(title, style="italic"))
    console.print(table)
