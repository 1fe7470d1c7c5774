"""`rankfield collect`: queries, ranked results of a search API, images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.program import program
from rankfield.errors import InputError
from rankfield.terminal import echo, one_line

if TYPE_CHECKING:
    from rankfield.collect import Job

__all__ = ["command"]


def command(
    job: Annotated[
        Path | None, typer.Argument(help="TOML file that says what to collect.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Argument(help="Data set folder to make.", show_default=False)
    ] = None,
    *,
    example: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Print a job: elasticsearch, serpapi or json."),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Ask the first query alone and show its results.")
    ] = False,
    queries: Annotated[
        int | None, typer.Option(min=1, help="Take the first so many queries.")
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Results of a query.")] = None,
    allow_env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A variable that the job may send as key; repeat."),
    ] = None,
    allow_file: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A file outside its folder that it may read; repeat."),
    ] = None,
    skip_failed: Annotated[
        bool,
        typer.Option("--skip-failed", help="Do without queries and images that failed."),
    ] = False,
) -> None:
    """Make a data set from a search API: queries, ranked results, images.

    The score is depth + 1 − position. Every answer is kept in OUT.partial when it is complete: the
    same command goes on where a killed run stopped. Keys come from environment variables that the
    job names and --allow-env allows: read a job of others before you do.

    Example: rankfield collect job.toml shop
    """
    from rankfield.collect import collect, load_job
    from rankfield.collect.job import example_job

    if example is not None:
        echo(example_job(example), nl=False)
        return
    if job is None or (out is None and not preview):
        raise InputError(
            "expected a job and an output folder",
            where="rankfield collect",
            remedy="`rankfield collect --example json` prints a job.",
        )
    loaded = load_job(job, allow_env=allow_env or (), allow_files=allow_file or ())
    if queries is not None:
        section = loaded.queries.model_copy(update={"maximum": queries})
        loaded = loaded.model_copy(update={"queries": section})
    if depth is not None:
        search = loaded.search.model_copy(update={"depth": depth})
        loaded = loaded.model_copy(update={"search": search})
    if out is None or preview:
        _preview(loaded)
        return
    dataset = collect(loaded, out, skip_failed=skip_failed, report=_note)
    echo(
        f"{out}: {dataset.queries.height:,} queries, {dataset.documents.height:,} documents,"
        f" {dataset.judgments.height:,} judgments"
    )
    echo(f"next: {program()} check {out}, {program()} split {out} OUT")


def _note(text: str) -> None:
    echo(f"- {text}")


def _preview(job: Job) -> None:
    from rankfield.collect import preview

    query, results = preview(job)
    echo(f"{query!r}: {len(results):,} results")
    for position, found in enumerate(results[:10], 1):
        echo(f"{position}. {one_line(found.doc_id)}")
        for name, value in (found.fields | found.columns).items():
            shown = "–" if value is None else one_line(str(value)[:100])
            echo(f"   {name}: {shown}")
