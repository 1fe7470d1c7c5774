"""The table that `rankfield evaluate` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rankfield.evaluation import Results
    from rankfield.metrics import Mean

__all__ = ["show_results"]


def show_results(results: Results) -> None:
    """Print the main metrics of each split with their intervals, and what missing fields cost."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from rankfield.evaluation import protocol_named

    columns = protocol_named(results.protocol).main
    title = f"{results.model} on {results.dataset.name}, {results.subset} queries"
    table = Table(title=title, box=SIMPLE, pad_edge=False, title_justify="left")
    table.add_column("split", no_wrap=True)
    for name in ("queries", *columns):
        table.add_column(name.replace("@", "\n@"), justify="right", no_wrap=True)
    for split, means in results.splits.items():
        cells = [_cell(means[name]) for name in columns]
        table.add_row(split, f"{results.sizes[split].queries:,}", *cells)
    Console().print(table)
    typer.echo(
        "±: half of the 95 % bootstrap interval over queries; the results hold both of its ends."
    )
    if results.robustness:
        _show_robustness(results, columns[0])
    if results.protocol != "rankfield":
        note = protocol_named(results.protocol).note
        typer.echo(f"By the rules of {results.protocol}: {note}.")
        return
    for split, means in results.splits.items():
        undefined = results.sizes[split].queries - means["mAP@1000"].queries
        if undefined:
            typer.echo(
                f"{split}: {undefined} queries have no relevant document; mAP and R leave them out."
            )


def _cell(mean: Mean) -> str:
    if mean.value is None:
        return "–"
    if mean.low is None or mean.high is None:
        return f"{mean.value:.3f}"
    return f"{mean.value:.3f}\n±{(mean.high - mean.low) / 2:.3f}"


def _show_robustness(results: Results, metric: str) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    title = f"{metric} without a field, and the change"
    table = Table(title=title, box=SIMPLE, pad_edge=False, title_justify="left")
    table.add_column("without", no_wrap=True)
    for split in results.splits:
        table.add_column(split, justify="right")
    for field, splits in results.robustness.items():
        cells = []
        for split, means in results.splits.items():
            whole, left = means[metric].value, splits[split][metric].value
            if whole is None or left is None:
                cells.append("–")
            else:
                cells.append(f"{left:.3f} ({left - whole:+.3f})")
        table.add_row(field, *cells)
    Console().print(table)
