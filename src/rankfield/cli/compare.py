"""`rankfield compare`: several evaluations side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rankfield.evaluation import Comparison

__all__ = ["command", "show"]

_METRICS = ("nDCG@10", "ERR@10", "RR@10", "mAP@1000", "R@100")


def command(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="Files that `rankfield evaluate --out` wrote; the first is what the others are "
            "compared with.",
            show_default=False,
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(help=f"A metric to show; repeat for more. Default: {', '.join(_METRICS)}."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare although data, subsets or queries differ.")
    ] = False,
) -> None:
    """Print the figures of several evaluations, with relative gains over the first.

    Runs that were evaluated with the same --label are averaged: mean ± standard deviation.

    Example: rankfield compare clip.json gcl.json --metric nDCG@10
    """
    from rankfield.evaluation import Results, compare, protocol_named

    loaded = [Results.load(path) for path in results]
    own = loaded[0].protocol == "rankfield"
    default = _METRICS if own else protocol_named(loaded[0].protocol).main
    comparison = compare(loaded, metrics=metric or default, force=force)
    for name in comparison.metrics:
        show(comparison, name)


def show(comparison: Comparison, metric: str) -> None:
    """Print one metric's table: a row for each split, a column for each run or label."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(title=metric, box=SIMPLE, pad_edge=False, title_justify="left")
    table.add_column("split", no_wrap=True)
    table.add_column("queries", justify="right")
    runs = {row["name"]: row["runs"] for row in comparison.table.iter_rows(named=True)}
    for name in comparison.names:
        heading = name if runs[name] == 1 else f"{name} ({runs[name]} runs)"
        table.add_column(heading, justify="right", overflow="fold")
    for split in comparison.splits:
        rows = {
            row["name"]: row
            for row in comparison.table.iter_rows(named=True)
            if row["split"] == split and row["metric"] == metric
        }
        cells = [
            _cell(rows[n]["value"], rows[n]["standard_deviation"], rows[n]["gain_percent"])
            for n in comparison.names
        ]
        table.add_row(split, f"{rows[comparison.names[0]]['queries']:,}", *cells)
    Console().print(table)


def _cell(value: float | None, deviation: float | None, gain: float | None) -> str:
    if value is None:
        return "–"
    text = f"{value:.3f}"
    if deviation is not None:
        text += f" ± {deviation:.3f}"
    if gain is not None:
        text += f" ({gain:+.1f} %)"
    return text
