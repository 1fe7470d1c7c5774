"""`rankfield dedupe`: one record for all that are exactly the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rankfield.errors import InputError, OutputError

__all__ = ["command"]


def command(
    dataset: Annotated[Path, typer.Argument(help="Data set folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Data set folder to make.", show_default=False)],
    *,
    documents: Annotated[bool, typer.Option(help="Merge documents.")] = True,
    queries: Annotated[bool, typer.Option(help="Merge queries.")] = True,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Pictures must be the same too, to the byte.")
    ] = False,
    scores: Annotated[
        Literal["max", "mean", "first"],
        typer.Option(help="What becomes of several scores of one pair."),
    ] = "max",
    as_group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Drop nothing: write which documents are the same, for"
            " `rankfield split --group-documents-by COLUMN`.",
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Work on this machine's cores, or on Ray's: same result."),
    ] = "local",
) -> None:
    """Merge documents, and queries, that are exactly the same, with their judgments.

    The same are records whose text fields are equal apart from case, punctuation and blanks. The
    one with the smallest id stays.

    Example: rankfield dedupe shop shop-unique --scores mean
    """
    from rich.console import Console

    from rankfield.curation.dedupe import dedupe, group_duplicates
    from rankfield.engines import make_engine
    from rankfield.schema import DatasetFolder

    if out.exists() or out.is_symlink():
        raise OutputError(
            "exists already", where=str(out), remedy="Name another output, or remove it first."
        )
    tables = [t for t, wanted in (("queries", queries), ("documents", documents)) if wanted]
    if not tables:
        raise InputError("neither queries nor documents are to be merged: nothing to do")
    data = DatasetFolder.load(dataset)
    work = make_engine(engine)
    if as_group is not None:
        done, report = group_duplicates(data, as_group, pictures=pictures, engine=work)
    else:
        done, report = dedupe(data, tables=tables, pictures=pictures, scores=scores, engine=work)
    done.save(out)
    console = Console(highlight=False)
    console.print(report)
    console.print(f"wrote {out}", markup=False, soft_wrap=True)
