"""`rankfield check`: the audit of a data set, and a cleaned copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.options import Dataset, EngineOption
from rankfield.errors import DataError
from rankfield.terminal import console, echo, one_line

if TYPE_CHECKING:
    from rankfield.engines import Engine
    from rankfield.schema import DatasetFolder, Tables
    from rankfield.validate import Problem

__all__ = ["command"]

_SHOWN = 3
_BAR = 40


def command(
    dataset: Dataset,
    *,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write a cleaned copy here and say what was dropped."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    images: Annotated[bool, typer.Option(help="Read and decode every image too.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Write the problems here: table, row, field, what."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="PAGE", help="Write a page: distributions, coverage, problems."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(metavar="MD", help="Write a data card: provenance, licence, fields, scale."),
    ] = None,
    engine: EngineOption = "local",
) -> None:
    """Look for everything that is wrong with a data set: ids, pairs, scores, fields, images.

    Rows are counted from 0, as in the Parquet tables. Exits with 2 if there is an error (with
    --strict, a warning too) and no cleaned copy was asked for.

    Example: rankfield check shop --html shop.html --fix shop-clean
    """

    from rankfield import validate
    from rankfield.engines import make_engine
    from rankfield.outputs import require_new
    from rankfield.schema import DatasetFolder

    require_new(fix, out, html, card)
    data = DatasetFolder.load(dataset)
    work = make_engine(engine)
    problems = validate.audit(data, images=images, engine=work)
    _print_summary(data)
    _print_problems(problems)
    if out is not None:
        _write(out, problems)
    _write_pages(data, problems, html, card, work)
    errors = sum(p.count for p in problems if p.severity == "error")
    warnings = sum(p.count for p in problems) - errors
    if fix is not None:
        cleaned, lines = validate.fix(data, problems)
        cleaned.save(fix)
        for line in lines or ["nothing had to be dropped"]:
            echo(f"- {line}")
        echo(f"wrote {fix}")
    elif errors or (strict and warnings):
        raise DataError(
            f"{errors:,} error(s) and {warnings:,} warning(s)",
            where=str(dataset),
            remedy="Fix the data, or write a cleaned copy with --fix OUT." if errors else "",
        )
    else:
        echo(f"no errors, {warnings:,} warning(s)")


def _write_pages(
    data: DatasetFolder,
    problems: list[Problem],
    html: Path | None,
    card: Path | None,
    engine: Engine,
) -> None:
    if html is not None:
        from rankfield.report import write_audit_page

        write_audit_page(html, dataset=data, problems=problems, engine=engine)
    if card is not None:
        from rankfield.report import write_data_card

        write_data_card(card, data, problems)


def _print_summary(data: Tables) -> None:
    from rankfield.validate import summarise

    summary = summarise(data)
    scale = data.score_scale
    echo(
        f"{one_line(data.name)}: {summary.queries:,} queries, {summary.documents:,} documents"
        f" ({summary.never_judged:,} never judged), {summary.judgments:,} judgments"
        f" ({summary.judgments_per_query:,.1f} per judged query)"
    )
    echo(f"scores, scale {scale}:")
    most = max((count for *_, count in summary.scores), default=1)
    for low, high, count in summary.scores:
        label = f"{low:.4g}" if low == high else f"{low:.4g} – {high:.4g}"
        echo(f"  {label:>20} {'█' * round(_BAR * count / most):<{_BAR}} {count:,}")


def _print_problems(problems: list[Problem]) -> None:
    """Print each kind, errors first, with its count and first few places."""
    from rich.text import Text

    screen = console()
    groups: dict[tuple[str, str, str, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda p: p.severity):
        key = (problem.severity, problem.kind, problem.table, problem.field)
        groups.setdefault(key, []).append(problem)
    for (severity, kind, table, name), group in groups.items():
        colour = "bold red" if severity == "error" else "yellow"
        place = one_line(f"{table}, {name}" if name else table)
        count = sum(p.count for p in group)
        line = Text.assemble((severity, colour), f" {place}: {kind}, {count:,} ×")
        screen.print(line, soft_wrap=True)
        for problem in group[:_SHOWN]:
            item = "" if problem.item is None else f", item {problem.item}"
            row = "" if problem.row is None else f"row {problem.row}{item}: "
            echo(f"    {row}{problem.message}")


def _write(out: Path, problems: list[Problem]) -> None:
    from dataclasses import asdict

    import polars as pl

    from rankfield.escaping import spreadsheet_cells
    from rankfield.files import new_file

    columns = ("severity", "table", "row", "field", "item", "kind", "message", "count")
    rows = [asdict(problem) for problem in problems]
    with new_file(out) as temporary:
        table = pl.DataFrame({c: [row[c] for row in rows] for c in columns})
        spreadsheet_cells(table).write_csv(temporary)
