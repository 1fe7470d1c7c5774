"""What `rankfield metrics` prints and writes of the results of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankfield.cli.text_table import show_table
from rankfield.errors import InputError
from rankfield.outputs import OR_OVERWRITE, require_new
from rankfield.terminal import echo, one_line

if TYPE_CHECKING:
    from rankfield.evaluation import Results
    from rankfield.metrics import Mean
    from rankfield.schema import ScoreScale

__all__ = ["check_values_file", "means_of", "save_values", "show_means"]

_COUNTS = ("missing", "unknown", "tied")


def means_of(results: Results) -> dict[str, Any]:
    """Return the one split's means, how many queries there are, and how it was measured."""
    ((split, means),) = results.splits.items()
    return {
        "metrics": {metric: asdict(mean) for metric, mean in means.items()},
        "queries": results.sizes[split].queries,
        "split": split,
        "rankfield": results.rankfield,
        **results.metadata,
    }


def show_means(
    judgments: Path, found: Mapping[str, Results], scale: ScoreScale, *, fate: str
) -> None:
    """Print the table of means, a row for each metric, and what there is to know about the lists.

    Args:
        judgments: their file, for the title.
        found: name → results of a run, of one split and the same metrics.
        scale: of the judged scores.
        fate: what becomes of judged queries that a run lacks, in words.
    """
    all_means = {name: _means(results) for name, results in found.items()}
    sizes = {name: next(iter(r.sizes.values())).queries for name, r in found.items()}
    first = next(iter(all_means.values()))
    counts = dict.fromkeys(f"{count:,}" for count in sizes.values())
    show_table(
        f"{judgments}, {', '.join(counts)} queries: mean [95 % interval]",
        ["metric", *map(one_line, found)],
        [[name, *(_cell(means[name]) for means in all_means.values())] for name in first],
    )
    ties = next(iter(found.values())).metadata["ties"]
    echo(
        f"Scores from {scale}; "
        f"equal scores of a run: {'as in the file' if ties == 'file' else f'doc_id {ties}'}."
    )
    count = next(iter(sizes.values()))
    for metric, mean in first.items():
        if mean.queries < count:
            echo(
                f"{metric}: {count - mean.queries:,} queries without anything to find are left out."
            )
    said = {
        "missing": f"judged queries are not in the run: {fate}",
        "unknown": "queries without judgments are left out",
        "tied": "queries have documents of equal score",
    }
    for name, results in found.items():
        for kind in _COUNTS:
            if number := results.metadata[kind]:
                echo(f"{name}: {number:,} {said[kind]}.")


def check_values_file(path: Path, *, overwrite: bool) -> None:
    """Make sure that `save_values` can write here: ask before any work.

    Raises:
        InputError: an ending other than .parquet and .csv.
        OutputError: the file exists and `overwrite` is false.
    """
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise InputError("expected a name ending in .parquet or .csv", where=f"{path}")
    if not overwrite:
        require_new(path, remedy=OR_OVERWRITE)


def save_values(path: Path, found: Mapping[str, Results]) -> None:
    """Write one row for each run and query: run, query_id, a column for each metric."""
    import json

    import polars as pl

    from rankfield.escaping import spreadsheet_cells
    from rankfield.files import new_file

    frame = pl.concat(
        results.queries.select(pl.lit(name).alias("run"), pl.all().exclude("split"))
        for name, results in found.items()
    )
    with new_file(path) as temporary:
        if path.suffix.lower() == ".csv":
            spreadsheet_cells(frame).write_csv(temporary)
        else:
            made = {name: means_of(results) for name, results in found.items()}
            frame.write_parquet(temporary, metadata={"rankfield": json.dumps({"runs": made})})


def _means(results: Results) -> dict[str, Mean]:
    (means,) = results.splits.values()
    return means


def _cell(mean: Mean) -> str:
    if mean.value is None:
        return "–"
    interval = "" if mean.low is None else f" [{mean.low:.4f}, {mean.high:.4f}]"
    return f"{mean.value:.4f}{interval}"
