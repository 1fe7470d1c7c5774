"""The options that every import of a layout has, and what each does in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rankfield.cli.program import program
from rankfield.outputs import require_new
from rankfield.terminal import echo

if TYPE_CHECKING:
    from rankfield.schema import RankingDataset
    from rankfield.schema.tables import Tables

__all__ = [
    "BadImages",
    "DocumentField",
    "Duplicates",
    "HeldOut",
    "JudgmentsOnly",
    "Licence",
    "LicenceOf",
    "Name",
    "OfDataset",
    "Out",
    "PublishedScore",
    "QueryField",
    "Relevant",
    "ScoreMax",
    "ScoreMin",
    "Unknown",
    "check_judgments_only",
    "given",
    "report",
    "require_new",
    "save",
    "save_judgments",
]

_FIELD = "NAME[:MODALITY[:WEIGHT]]"

Out = Annotated[Path, typer.Argument(help="Data set folder to make.", show_default=False)]
QueryField = Annotated[
    list[str] | None,
    typer.Option(metavar=_FIELD, help="A field of the queries; repeat. Default: the layout's."),
]
DocumentField = Annotated[
    list[str] | None,
    typer.Option(metavar=_FIELD, help="A field of the documents; repeat. Default: the layout's."),
]
ScoreMin = Annotated[
    float | None, typer.Option(help="Lowest score possible; default: 0 or the data's.")
]
ScoreMax = Annotated[
    float | None, typer.Option(help="Highest score possible; default: the data's.")
]
Relevant = Annotated[
    float | None,
    typer.Option(help="Scores from here on are relevant; default: the smallest above 0."),
]
PublishedScore = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column with the score; default: score_linear, score_reciprocal or score, whichever"
        " comes first.",
    ),
]
Name = Annotated[str | None, typer.Option(help="Name; default: the source's.")]
Licence = Annotated[str, typer.Option(help="Licence of the data, for the record.")]
LicenceOf = Annotated[
    str | None, typer.Option(help="Licence of the data; default: what it was published under.")
]
Unknown = Annotated[
    Literal["error", "drop"],
    typer.Option(help="At judgments of queries or documents not there: stop, or leave them out."),
]
Duplicates = Annotated[
    Literal["error", "first", "highest"],
    typer.Option(help="At a pair judged twice: stop, or keep the first or the highest score."),
]
BadImages = Annotated[
    Literal["error", "drop"], typer.Option(help="At a bad image: stop, or clear the field.")
]
HeldOut = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Fraction of the train queries that become dev, where there is no dev."
    ),
]


JudgmentsOnly = Annotated[
    bool,
    typer.Option(
        "--judgments-only",
        help="Make a table of query_id, doc_id and score alone: OUT ends in .csv, .tsv, .jsonl or"
        " .parquet.",
    ),
]
OfDataset = Annotated[
    Path | None,
    typer.Option(
        metavar="DATASET",
        help="With --judgments-only: the data set whose query ids to take, by id or by text.",
    ),
]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given: those left out have the reader's own defaults."""
    return {name: value for name, value in options.items() if value is not None}


def save(dataset: RankingDataset, notes: Iterable[str], out: Path) -> None:
    """Write the data set and say what was guessed, its sizes and what comes next."""
    report(dataset.save(out), notes, out)


def check_judgments_only(only: bool, documents: Path | None, dataset: Path | None) -> None:
    """Raise `InputError` for options that go only with, or only without, --judgments-only."""
    from rankfield.errors import InputError

    wrong = "--documents" if only and documents is not None else ""
    wrong = "--dataset" if not only and dataset is not None else wrong
    if wrong:
        raise InputError(
            f"{wrong} goes only {'without' if only else 'with'} --judgments-only",
            where=wrong,
            remedy="Leave one of the two out." if only else "Add --judgments-only.",
        )


def save_judgments(
    out: Path,
    dataset: Path | None,
    unknown: Literal["error", "drop"],
    duplicates: Literal["error", "first", "highest"],
    read: Callable[[list[str]], Any],
) -> None:
    """Write the judgments of a list alone, and say what was left out.

    `read` takes notes and returns queries, judgments, and whether texts are the queries' ids.
    """
    from rankfield.formats.judgment_lists.judgments_only import (
        judgments_alone,
        require_judgment_name,
        write_judgment_file,
    )
    from rankfield.schema import RankingDataset

    require_judgment_name(out)
    notes: list[str] = []
    data = None if dataset is None else RankingDataset.load(dataset)
    queries, judgments, by_text = read(notes)
    frame = judgments_alone(
        queries,
        judgments,
        notes,
        by_text=by_text,
        dataset=data,
        unknown=unknown,
        duplicates=duplicates,
    )
    write_judgment_file(frame, out)
    for note in notes:
        echo(f"- {note}")
    if by_text and dataset is None:
        echo("- queries: the list has no ids, the texts are the ids; --dataset takes others")
    count = frame["query_id"].n_unique()
    echo(f"{out}: {frame.height:,} judgments of {count:,} queries")


def report(dataset: Tables, notes: Iterable[str], out: Path) -> None:
    """Say what was guessed, how many rows each table has and what comes next."""
    for note in notes:
        echo(f"- {note}")
    tables = ("queries", "documents", "judgments")
    echo(f"{out}: {', '.join(f'{dataset.height(table):,} {table}' for table in tables)}")
    following = (
        f"{program()} train RECIPE --set data.dataset={out} --out RUN"
        if dataset.is_split or _has_train_queries(dataset)
        else f"{program()} split {out} OUT"
    )
    echo(f"next: {program()} check {out}, {following}")


def _has_train_queries(dataset: Tables) -> bool:
    """Return whether queries are marked as dev or test and others are judged to train on."""
    import polars as pl

    if "subset" not in dataset.schema("queries"):
        return False
    marked = dataset.frame("queries", ["query_id", "subset"])
    others = marked.filter(pl.col("subset").is_null())["query_id"].implode()
    judged = dataset.lazy("judgments").filter(pl.col("query_id").is_in(others))
    return marked["subset"].null_count() > 0 and bool(judged.select(pl.len()).collect().item())
