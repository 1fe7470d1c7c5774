"""`rankfield compare`: several evaluations side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankfield.cli.load_results import load_results
from rankfield.cli.options import Overwrite, TableFile
from rankfield.cli.text_table import show_table
from rankfield.errors import InputError, MetricError
from rankfield.terminal import echo, one_line

if TYPE_CHECKING:
    import polars as pl

    from rankfield.evaluation import Comparison, Results
    from rankfield.schema import RankingDataset

__all__ = ["command", "legend", "show", "show_pairs", "show_tests"]

_METRICS = ("nDCG@10", "ERR@10", "RR@10", "mAP@1000", "R@100")
_ABREAST = 3
"""Up to so many columns have room for the gain beside the figure."""


def command(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="[LABEL=]FILE...",
            help="Files that `rankfield evaluate --out` or `rankfield metrics --out` wrote; the "
            "first is what the others are compared with. LABEL=FILE counts the file as a run of "
            "that recipe.",
            show_default=False,
        ),
    ],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(help=f"A metric to show; repeat for more. Default: {', '.join(_METRICS)}."),
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Show each test: difference, interval, p-values.")
    ] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Test all others against this run or label too, by its name in the table; repeat "
            "for more. all: every pair. Holm's correction is over all of these tests.",
        ),
    ] = None,
    slice_by: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            help="Also show slices of the queries by query.COLUMN, document.COLUMN, frequency, "
            "length or judgments; repeat for more. Of the metrics given, or nDCG@10.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The data set, for --slice; default: where it was when evaluated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write figures and tests here: .json, .csv or .parquet."),
    ] = None,
    table: TableFile = None,
    overwrite: Overwrite = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Compare although protocols, data or subsets differ."),
    ] = False,
) -> None:
    """Print the figures of several evaluations, with relative gains over the first.

    Runs of one label (of `evaluate --label`, or LABEL=FILE) are runs of one recipe: mean ± standard
    deviation. A star marks a difference between recipes by a test over their runs and the queries.
    Single runs get no star: --details tests whether these two models differ on these queries.

    Example: rankfield compare clip.json gcl.json --metric nDCG@10

    Example: rankfield compare clip=clip-0.json clip=clip-1.json gcl=gcl-0.json gcl=gcl-1.json

    Example: rankfield compare bm25.json clip.json gcl.json --against bm25 --against clip

    Example: rankfield compare clip.json gcl.json --slice length --slice document.category
    """
    from rankfield.evaluation import compare, protocol_named, slice_comparison
    from rankfield.evaluation.comparison_file import check_comparison_file, save_comparison
    from rankfield.evaluation.table_file import check_table_file, save_table_file

    if out is not None:
        check_comparison_file(out, slices=bool(slice_by), overwrite=overwrite)
    if table is not None:
        check_table_file(table, overwrite=overwrite)
    loaded = load_results(results)
    own = loaded[0].protocol == "rankfield"
    default = _METRICS if own else protocol_named(loaded[0].protocol).main
    # Runs may have been measured by a few metrics of the user's choice.
    default = tuple(m for m in default if all(_has(one, m) for one in loaded))
    comparison = compare(loaded, metrics=metric or default, force=force)
    sliced = comparison.metrics if metric else comparison.metrics[:1]
    slices: dict[str, pl.DataFrame] = {}
    if slice_by:
        dataset = _dataset(loaded, data, force=force)
        slices = {
            f"{name} by {by}": slice_comparison(comparison, dataset, by, metric=name)
            for by in dict.fromkeys(slice_by)
            for name in sliced
        }
    pairs = _pairs(comparison, against) if against else None
    for name in comparison.metrics:
        show(comparison, name)
    if len(comparison.names) > 1:
        if pairs is not None:
            show_pairs(pairs)
        elif details:
            show_tests(comparison)
        echo(legend(comparison, details=details, pairs=pairs is not None))
    for title, rows in slices.items():
        _show_slices(title, rows)
    if out is not None:
        save_comparison(comparison, out, slices=slices, pairs=pairs, overwrite=overwrite)
        echo(f"Figures and tests: {out}")
    if table is not None:
        save_table_file(comparison, table, overwrite=overwrite)
        echo(f"Table: {table}")


def _has(results: Results, metric: str) -> bool:
    return all(metric in means for means in results.splits.values())


def show(comparison: Comparison, metric: str) -> None:
    """Print one metric's table: a row for each split, a column for each run or label."""
    from rankfield.evaluation.statistics import SIGNIFICANT

    headings = [
        name if len(runs) == 1 else f"{name} ({len(runs)} runs)"
        for name, runs in comparison.runs.items()
    ]
    lines, gap = [], " " if len(headings) <= _ABREAST else "\n"
    different = {
        (row["split"], row["name"])
        for row in comparison.tests.iter_rows(named=True)
        if row["metric"] == metric
        and row["p_seeds"] is not None
        and row["p_adjusted"] < SIGNIFICANT
    }
    for split in comparison.splits:
        rows = {
            row["name"]: row
            for row in comparison.table.iter_rows(named=True)
            if row["split"] == split and row["metric"] == metric
        }
        first = rows[comparison.names[0]]
        cells = [
            _cell(rows[n], None if n == comparison.names[0] else first["value"], gap)
            + ("*" if (split, n) in different else "")
            for n in comparison.names
        ]
        lines.append([split, f"{rows[comparison.names[0]]['queries']:,}", *cells])
    show_table(metric, ["split", "queries", *map(one_line, headings)], lines)


def legend(comparison: Comparison, *, details: bool = False, pairs: bool = False) -> str:
    """Say in words what the stars of `show` mean, and what single runs leave open.

    Args:
        comparison: what was shown.
        details: with its tests.
        pairs: with tests of pairs, which say their own correction.
    """
    import polars as pl

    from rankfield.evaluation.statistics import SIGNIFICANT

    count, first = comparison.tests.height, comparison.names[0]
    correction = f", Holm's correction over the {count} comparisons shown" if count > 1 else ""
    said = []
    if comparison.tests["p_seeds"].null_count() < count:
        said.append(
            f"*: the recipe differs from {first}, p < {SIGNIFICANT} by a bootstrap of runs and "
            f"queries{correction}."
        )
    single = [name for name, runs in comparison.runs.items() if len(runs) == 1]
    if len(single) == len(comparison.names):
        tests = (
            f"The tests{correction}, are"
            if details
            else "The tests are"
            if pairs
            else "A test of single runs (--details) is"
        )
        said.append(
            f"Each column is one run. {tests} about these models on these queries; to compare "
            "recipes, give several runs of each, trained with other seeds (LABEL=FILE)."
        )
    elif single:
        said.append(f"Of {', '.join(single)} there is one run: a test is against that model alone.")
    gains = comparison.table.filter(pl.col("name") != first)
    if gains.filter(pl.col("gain_percent").is_null(), pl.col("value").is_not_null()).height:
        said.append(f"Where {first} has 0, the difference stands: a relative gain is undefined.")
    return "\n".join(said)


def _dataset(results: Sequence[Results], data: Path | None, *, force: bool) -> RankingDataset:
    """Load the data set that was evaluated."""
    from rankfield.evaluation.measured_data import was_measured_on
    from rankfield.schema import RankingDataset

    identity = results[0].dataset
    if data is None and not identity.path:
        raise InputError(
            f"the results do not say where their data set {identity.name!r} is",
            where="--data",
            remedy="Name it (--data FOLDER).",
        )
    folder = Path(identity.path) if data is None else data
    dataset = RankingDataset.load(folder)
    if not force and not was_measured_on(results[0], dataset):
        raise MetricError(
            f"expected the data that was evaluated, {identity.fingerprint}, "
            f"found {dataset.fingerprint()}",
            where=str(folder),
            remedy="Name the data set that the results are of (--data).",
        )
    return dataset


def show_tests(comparison: Comparison) -> None:
    """Print the tests of each metric: difference, interval, p-values, queries won and lost."""
    several = comparison.tests["p_seeds"].null_count() < comparison.tests.height
    columns = ["adjusted", *(["seeds"] if several else []), "randomisation", "bootstrap"]
    heads = {"adjusted": "adjus-\nted p", "seeds": "recipe\np"}
    heads |= {"randomisation": "random-\nised p", "bootstrap": "boot-\nstrap p"}
    for metric in comparison.metrics:
        rows: list[list[str | tuple[str, ...]]] = [
            [
                (row["split"], row["name"]),
                _interval(row["difference"], row["low"], row["high"]),
                *(_p_value(row[f"p_{column}"]) for column in columns),
                f"{row['better']:,}, {row['worse']:,}, {row['equal']:,}",
            ]
            for row in comparison.tests.filter(metric=metric).iter_rows(named=True)
        ]
        title = f"{metric}: differences to {comparison.names[0]}, with 95 % intervals"
        shown = ["difference", *(heads[column] for column in columns)]
        show_table(title, ["split\nrun", *shown, "better,\nworse,\nequal"], rows)


def _show_slices(title: str, slices: pl.DataFrame) -> None:
    names = slices["name"].unique(maintain_order=True).to_list()
    title += ", with 95 % intervals"
    cells: dict[tuple[str, str], dict[str, str]] = {}
    queries: dict[tuple[str, str], int] = {}
    for row in slices.iter_rows(named=True):
        key = row["split"], row["slice"]
        queries.setdefault(key, row["queries"])
        cells.setdefault(key, {})[row["name"]] = _range(row["value"], row["low"], row["high"])
    rows = [
        [split, label, f"{queries[split, label]:,}", *(found.get(name, "–") for name in names)]
        for (split, label), found in cells.items()
    ]
    show_table(title, ["split", "slice", "queries", *map(one_line, names)], rows, words=2)


def _pairs(comparison: Comparison, against: Sequence[str]) -> pl.DataFrame:
    return comparison.tests_against(() if "all" in against else against)


def show_pairs(tests: pl.DataFrame) -> None:
    """Print a table of `Comparison.tests_against` for each metric."""
    from rankfield.evaluation.statistics import SIGNIFICANT

    rows: dict[str, list[list[str | tuple[str, ...]]]] = {}
    for row in tests.iter_rows(named=True):
        rows.setdefault(row["metric"], []).append(
            [
                (row["split"], f"{one_line(row['name'])} − {one_line(row['against'])}"),
                _interval(row["difference"], row["low"], row["high"]),
                _p_value(row["p_adjusted"]) + ("*" if row["p_adjusted"] < SIGNIFICANT else ""),
                f"{row['better']:,}, {row['worse']:,}, {row['equal']:,}",
            ]
        )
    for metric, lines in rows.items():
        title = f"{metric}: differences with 95 % intervals"
        head = ["split\npair", "difference", "adjus-\nted p", "better,\nworse,\nequal"]
        show_table(title, head, lines)
    if tests.height:
        echo(f"*: p < {SIGNIFICANT} by Holm's correction over these {tests.height:,} tests.")


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:+.3f}" if low is None else f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _range(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if low is None else f"{value:.3f}\n[{low:.3f}, {high:.3f}]"


def _p_value(p: float | None) -> str:
    if p is None:
        return "–"
    return "<.0001" if p < 0.0001 else f"{p:.4f}"


def _cell(row: Mapping[str, Any], first: float | None, gap: str) -> str:
    """Return a figure, with its gain over `first`, None in the first column."""
    value, gain = row["value"], row["gain_percent"]
    if value is None:
        return "–"
    text = f"{value:.3f}"
    if row["standard_deviation"] is not None:
        text += f" ± {row['standard_deviation']:.3f}"
    if gain is not None:
        text += f"{gap}({gain:+,.{0 if abs(gain) >= 100 else 1}f} %)"
    elif first is not None:
        text += f"{gap}({value - first:+.3f})"
    return text
