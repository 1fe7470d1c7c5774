"""`rankfield export LAYOUT DATASET OUT`: a data set in another layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rankfield.cli.options import Dataset
from rankfield.formats.registry import LAYOUTS
from rankfield.terminal import echo

__all__ = ["command"]


def command(
    layout: Annotated[
        str,
        typer.Argument(help=f"One of {', '.join(LAYOUTS)}.", show_default=False),
    ],
    dataset: Dataset,
    out: Annotated[Path, typer.Argument(help="File or folder to make.", show_default=False)],
    *,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the layout; repeat."),
    ] = None,
) -> None:
    """Write a data set in another layout, whole or not at all, and say what the layout cannot hold.

    docs/formats.md lists the options of each layout: tables has ending=csv, tsv, jsonl or parquet,
    elasticsearch has kind=rank-eval, opensearch or ltr.

    Example: rankfield export tables shop shop-tables --option ending=jsonl
    """
    from rankfield.errors import InputError
    from rankfield.formats.options import parse_options
    from rankfield.validate import load_valid

    if layout not in LAYOUTS:
        raise InputError(
            f"there is no layout {layout!r}",
            where="rankfield export",
            remedy=f"Name one of {', '.join(LAYOUTS)}.",
        )
    write = LAYOUTS[layout].write
    options: dict[str, Any] = parse_options(write, option or (), layout)
    data = load_valid(dataset)
    for note in write(data, out, **options):
        echo(f"- {note}")
    echo(
        f"{out}: {data.queries.height:,} queries, {data.documents.height:,} documents,"
        f" {data.judgments.height:,} judgments as {layout}"
    )
