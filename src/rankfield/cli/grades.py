"""`rankfield grades`: what raters of a service said, as judgments."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.options import Overwrite
from rankfield.cli.program import program
from rankfield.cli.text_table import show_table
from rankfield.serving.rules import Rule, RuleName
from rankfield.terminal import echo

if TYPE_CHECKING:
    import polars as pl

    from rankfield.serving.agreement import Agreement

__all__ = ["command"]

_DISAGREEMENTS = 10


def command(
    data: Annotated[
        Path, typer.Argument(help="The folder of `rankfield serve --data`.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Argument(
            help="The judgments to write: .parquet, .csv, .tsv or .jsonl.", show_default=False
        ),
    ],
    *,
    rule: Annotated[
        RuleName, typer.Option(help="How grades of several raters become one score.")
    ] = "mean",
    settled_by: Annotated[
        str | None,
        typer.Option(
            metavar="RATER",
            help="A rater whose grade stands alone wherever there is one.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Keep only pairs whose query and document this data set has.", show_default=False
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Also write the graded queries, query_id and query, for a data set of queries "
            "that none has yet.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the grades that a service kept as judgments, and say how far the raters agree.

    Of each rater the last grade of a pair counts; "cannot say" is no grade.

    Example: rankfield grades feedback grades.parquet --rule median --settled-by zoe

    Then: [[judgments]] of a recipe, or rankfield import tables SHOP OUT --judgments grades.parquet
    """
    from rankfield.formats.judgment_lists.judgments_only import (
        require_judgment_name,
        write_judgment_file,
    )
    from rankfield.outputs import OR_OVERWRITE, require_new
    from rankfield.serving.agreement import rater_agreement
    from rankfield.serving.judgments import combined, graded_queries, kept_acts, of_dataset

    for path in filter(None, (out, queries)):
        require_judgment_name(path)
    if not overwrite:
        require_new(out, queries, remedy=OR_OVERWRITE)
    acts = kept_acts(data)
    frame = combined(acts, Rule(rule, settled_by))
    if dataset is not None:
        kept = of_dataset(frame, dataset)
        echo(f"left out: {frame.height - kept.height:,} pairs that {dataset} does not have")
        frame = kept
    write_judgment_file(frame, out)
    if queries is not None:
        write_judgment_file(graded_queries(frame), queries)
    _say(rater_agreement(acts.grades()), frame)
    echo(f"{out}: {frame.height:,} pairs of {frame['query_id'].n_unique():,} queries")
    tables = {"queries": queries, "judgments": out}
    named = [f"--{name} {shlex.quote(str(path))}" for name, path in tables.items() if path]
    echo(f"next: {program()} import tables SHOP OUT {' '.join(named)}")


def _say(found: Agreement, frame: pl.DataFrame) -> None:
    """Print by which rule scores were made, and what raters agree about."""
    from rankfield.report.style import decimal

    several = frame.filter(frame["raters"] > 1)
    for name, count in several["rule"].value_counts(sort=True).iter_rows():
        echo(f"{count:,} pairs of several raters: {name}")
    if found.pairs:
        title = "Agreement" if found.alpha is None else f"Agreement, alpha {found.alpha:.3f}"
        rows = [
            [one.first or "–", one.second or "–", f"{one.count:,}", decimal(one.kappa)]
            for one in found.pairs
        ]
        show_table(title, ["rater", "rater", "pairs", "kappa"], rows, words=2)
    if found.disagreements:
        rows = [
            [
                one.query,
                one.doc_id,
                ", ".join(f"{who or '–'} {score:g}" for who, score in one.grades),
            ]
            for one in found.disagreements[:_DISAGREEMENTS]
        ]
        title = f"The widest of {len(found.disagreements):,} disagreements"
        show_table(title, ["query", "document", "grades"], rows, words=3)
