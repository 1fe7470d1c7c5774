"""`rankfield weights`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.options import AllowCode
from rankfield.foreign_code import refuse_code
from rankfield.terminal import console, echo, one_line

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from rankfield.schema import ScoreScale

__all__ = ["command"]


def command(
    dataset: Annotated[Path, typer.Argument(help="The data set whose scores are weighed.")],
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--weight",
            help="A function to show; repeatable. By default all of the score's; `discount` and "
            "`soft_discount`, which depend on a query's own list, show their mean.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Draw the curves over the scores into this SVG or PNG.")
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Show what each score-to-weight function makes of the scores that are trained on.

    Example: rankfield weights shop --out weights.svg

    Each cell holds the weight, and the share of the whole loss that the pairs of its row carry.
    """
    import numpy as np
    from rich.table import Table

    from rankfield.validate import load_valid
    from rankfield.weighting import LIST_WEIGHTS, WEIGHT_FUNCTIONS, score_weights

    if not allow_code:
        refuse_code([name for name in names or () if ":" in name], where="--weight")
    data = load_valid(dataset)
    trained = data.training_judgments()
    scores, counts = np.unique(trained["score"].to_numpy(), return_counts=True)
    chosen = names or [name for name in WEIGHT_FUNCTIONS if name != "piecewise"]
    curves = {
        name: (
            _mean_weights(trained, data.score_scale, name)
            if name in LIST_WEIGHTS
            else score_weights(scores, data.score_scale, name)
        )
        for name in chosen
    }

    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in ("score", "pairs", *chosen):  # so narrow that all fit into 80 columns
        table.add_column(one_line(column).replace("_", "\n_"), justify="right", no_wrap=True)
    shares = {name: w * counts / (w * counts).sum() for name, w in curves.items()}
    for i in _rows_to_show(len(scores)):
        cells = [f"{curves[n][i]:.3f} {shares[n][i]:3.0%}" for n in chosen]
        table.add_row(f"{scores[i]:g}", f"{counts[i]:,}", *cells)
    console().print(table)
    if out is not None:
        from rankfield.report.plots import weights_figure

        weights_figure(out, scores=scores, counts=counts, weights=curves)
        echo(out)


def _mean_weights(trained: pl.DataFrame, scale: ScoreScale, name: str) -> NDArray[np.float64]:
    """Return the mean weight of each distinct score, ascending, by a function of lists."""
    import numpy as np

    from rankfield.weighting import pair_weights

    scores = trained["score"].to_numpy()
    queries = trained["query_id"].rank("dense").to_numpy().astype(np.int64)
    weights = pair_weights(queries, scores, scale, name)
    inverse = np.unique(scores, return_inverse=True)[1]
    return np.bincount(inverse, weights) / np.bincount(inverse)


def _rows_to_show(count: int, most: int = 20) -> list[int]:
    """Return up to `most` positions spread over the scores, the highest first."""
    step = max(1.0, (count - 1) / (most - 1))
    spread = (round(count - 1 - i * step) for i in range(most))
    return sorted({i for i in spread if i >= 0}, reverse=True)
