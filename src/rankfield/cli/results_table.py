"""The table that `rankfield evaluate` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.text_table import show_table
from rankfield.errors import InputError
from rankfield.terminal import echo, one_line

if TYPE_CHECKING:
    from rankfield.evaluation import EvaluationOptions, Results
    from rankfield.metrics import Mean, Metric, OwnMetric

__all__ = ["ShownMetrics", "chosen_metrics", "show_results", "with_metrics"]

ShownMetrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        "-m",
        help="What the table shows, R@100 for instance, or module:function@10, of your own "
        "(--allow-code); repeat for more. The results file has the usual ones too.",
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


def chosen_metrics(
    names: Sequence[str], protocol: str, *, allow_code: bool
) -> list[Metric | OwnMetric]:
    """Return the metrics that the user asks for; "module:function" is imported.

    Raises:
        InputError: other rules than rankfield's.
        MetricError: no such metric.
        RecipeError: a function, which is not allowed.
    """
    from rankfield.foreign_code import refuse_code
    from rankfield.metrics import load_metric
    from rankfield.metrics.own_metric import is_own_metric

    if names and protocol != "rankfield":
        raise InputError(
            f"is for rankfield's own rules, found --protocol {protocol}", where="--metric"
        )
    if not allow_code:
        refuse_code([name for name in names if is_own_metric(name)], where="--metric")
    return list({str(one): one for one in map(load_metric, names)}.values())


def with_metrics(
    options: EvaluationOptions, metrics: Sequence[Metric | OwnMetric]
) -> EvaluationOptions:
    """Return options by which these are computed too, and as many documents retrieved as needed."""
    from rankfield.metrics import STANDARD_METRICS

    further = [metric for metric in metrics if str(metric) not in STANDARD_METRICS]
    deepest = max((metric.cutoff or 0 for metric in further), default=0)
    return replace(options, metrics=further, k=max(options.k, deepest))


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
