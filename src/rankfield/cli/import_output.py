"""What an import writes and says in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankfield.cli.program import program
from rankfield.terminal import echo

if TYPE_CHECKING:
    from rankfield.schema.tables import Tables

__all__ = ["OF_JUDGMENTS", "only_judgments", "report", "save_judgments"]

OF_JUDGMENTS = ("judgments_only", "dataset")
"""Options that are no arguments of a reader."""


def only_judgments(values: Mapping[str, Any]) -> bool:
    """Return whether the judgments of a list are wanted without its documents.

    Raises:
        InputError: an option that goes only with, or only without, --judgments-only.
    """
    from rankfield.errors import InputError

    only: bool = values["judgments_only"]
    wrong = "documents" if only else "dataset"
    if values[wrong] is not None:
        raise InputError(
            f"--{wrong} goes only {'without' if only else 'with'} --judgments-only",
            where=f"--{wrong}",
            remedy="Leave one of the two out." if only else "Add --judgments-only.",
        )
    return only


def save_judgments(
    read: Callable[[Path, list[str]], Any], src: Path, out: Path, values: Mapping[str, Any]
) -> None:
    """Write the judgments of a list alone, and say what was left out.

    `read` is `Layout.judgments`.
    """
    from rankfield.formats.judgment_lists.judgments_only import (
        judgments_alone,
        require_judgment_name,
        write_judgment_file,
    )
    from rankfield.schema import RankingDataset

    require_judgment_name(out)
    notes: list[str] = []
    folder = values["dataset"]
    data = None if folder is None else RankingDataset.load(folder)
    queries, judgments, by_text = read(src, notes)
    frame = judgments_alone(
        queries,
        judgments,
        notes,
        by_text=by_text,
        dataset=data,
        unknown=values["unknown"],
        duplicates=values["duplicates"],
    )
    write_judgment_file(frame, out)
    for note in notes:
        echo(f"- {note}")
    if by_text and folder is None:
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
