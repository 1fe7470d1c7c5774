"""The table that `rankfield evaluate` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.text_table import show_table
from rankfield.errors import InputError
from rankfield.messages import did_you_mean
from rankfield.terminal import echo, one_line

if TYPE_CHECKING:
    from rankfield.evaluation import Results
    from rankfield.metrics import Mean

__all__ = ["ShownMetrics", "show_results", "shown_metrics"]

ShownMetrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        "-m",
        help="What the table shows, R@100 for instance; repeat for more. The results file has "
        "all metrics. Default: the main ones.",
        show_default=False,
    ),
]


def show_results(results: Results, metrics: Sequence[str] = ()) -> None:
    """Print metrics of each split with their intervals, and what missing fields cost.

    Args:
        results: what was measured.
        metrics: some of its metrics; by default the main ones.
    """
    from rankfield.evaluation import protocol_named

    columns = metrics or protocol_named(results.protocol).main
    title = f"{results.model} on {results.dataset.name}, {results.subset} queries"
    show_table(
        title,
        ["split", "quer-\nies", *(name.replace("@", "\n@") for name in columns)],
        [
            [
                (split, "  low", "  high"),
                f"{results.sizes[split].queries:,}",
                *(_cell(means[name]) for name in columns),
            ]
            for split, means in results.splits.items()
        ],
    )
    echo("low, high: the ends of the 95 % interval over queries.")
    if results.robustness:
        _show_robustness(results, columns[0])
    if results.protocol != "rankfield":
        note = protocol_named(results.protocol).note
        echo(f"By the rules of {results.protocol}: {note}.")
        return
    for split, means in results.splits.items():
        undefined = results.sizes[split].queries - means["mAP@1000"].queries
        if undefined:
            echo(
                f"{split}: {undefined} queries have no relevant document; mAP and R leave them out."
            )


def shown_metrics(names: Sequence[str], protocol: str) -> list[str]:
    """Return the metrics that the user asks for, in their canonical names.

    Raises:
        InputError: other rules than rankfield's, or a metric that evaluations do not compute.
    """
    from rankfield.metrics import STANDARD_METRICS, canonical_name

    if names and protocol != "rankfield":
        raise InputError(
            f"is for rankfield's own rules, found --protocol {protocol}", where="--metric"
        )
    found = list(dict.fromkeys(map(canonical_name, names)))
    for name in found:
        if name not in STANDARD_METRICS:
            raise InputError(
                f"expected one of {', '.join(STANDARD_METRICS)}, found {name}",
                where="--metric",
                remedy=did_you_mean(name, STANDARD_METRICS)
                or "`rankfield metrics` computes others from the judgments and the rankings beside "
                "--out.",
            )
    return found


def _cell(mean: Mean) -> str:
    if mean.value is None:
        return "–"
    if mean.low is None or mean.high is None:
        return f"{mean.value:.3f}"
    return f"{mean.value:.3f}\n{mean.low:.3f}\n{mean.high:.3f}"


def _show_robustness(results: Results, metric: str) -> None:
    title = f"{metric} without a field, and the change"
    rows = []
    for field, splits in results.robustness.items():
        cells = []
        for split, means in results.splits.items():
            whole, left = means[metric].value, splits[split][metric].value
            if whole is None or left is None:
                cells.append("–")
            else:
                cells.append(f"{left:.3f} ({left - whole:+.3f})")
        rows.append([field, *cells])
    show_table(title, ["without", *map(one_line, results.splits)], rows)
