"""`rankfield split`: seen and unseen queries × seen and unseen documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rankfield.errors import OutputError

if TYPE_CHECKING:
    from rich.table import Table

    from rankfield.schema import Tables

__all__ = ["command"]


def command(
    dataset: Annotated[Path, typer.Argument(help="Data set folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Data set folder to make.", show_default=False)],
    *,
    queries: Annotated[float, typer.Option(help="Fraction of the queries seen in training.")] = 0.8,
    documents: Annotated[
        float, typer.Option(help="Fraction of the documents seen in training.")
    ] = 0.5,
    dev: Annotated[
        float, typer.Option(help="Fraction of each side's queries for development.")
    ] = 0.5,
    group_documents_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Documents with the same value stay on one side."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    compare_all_images: Annotated[
        bool,
        typer.Option(
            "--compare-all-images", help="Look for identical pictures even among over 20,000."
        ),
    ] = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Work on this machine's cores, or on Ray's: same result."),
    ] = "local",
) -> None:
    """Divide a data set into in_domain, novel_query, novel_document and zero_shot.

    Queries with the same words stay on one side, and so do documents of one group. The result
    depends on the contents and the seed, not on the order of rows. Prints the sizes and a report
    of what still crosses: equal titles, identical pictures.

    Example: rankfield split shop shop-split --group-documents-by style_id
    """
    from rich.console import Console

    from rankfield.curation import leak_report
    from rankfield.curation import split as divide
    from rankfield.engines import make_engine
    from rankfield.schema import DatasetFolder

    if out.exists() or out.is_symlink():
        raise OutputError(
            "exists already", where=str(out), remedy="Name another output, or remove it first."
        )
    data = DatasetFolder.load(dataset)
    done = divide(
        data,
        queries=queries,
        documents=documents,
        dev=dev,
        group_documents_by=group_documents_by,
        seed=seed,
    )
    limit = {"max_images": None} if compare_all_images else {}
    work = make_engine(engine)
    leaks = leak_report(done, group_documents_by=group_documents_by, engine=work, **limit)
    done.save(out)
    console = Console(highlight=False)
    console.print(_sizes(done))
    for note in done.provenance.notes:
        if note.startswith("split: "):
            console.print(f"- {note}", markup=False, soft_wrap=True)
    console.print(leaks)
    console.print(f"wrote {out}", markup=False, soft_wrap=True)


def _sizes(dataset: Tables) -> Table:
    from rich.table import Table

    from rankfield.curation import split_sizes

    table = Table("split", "subset", "queries", "documents", "judgments", title="splits")
    for column in table.columns[2:]:
        column.justify = "right"
    for split, subset, *counts in split_sizes(dataset).rows():
        table.add_row(split, subset, *(f"{count:,}" for count in counts))
    return table
