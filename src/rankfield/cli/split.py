"""`rankfield split`: seen and unseen queries × seen and unseen documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankfield.cli.options import Dataset, EngineOption, NewDataset
from rankfield.errors import InputError
from rankfield.terminal import console, echo

if TYPE_CHECKING:
    from rich.table import Table

    from rankfield.curation import TimeRule
    from rankfield.schema import DatasetFolder, Tables

__all__ = ["command"]

_FEW = 20
"""With fewer queries in a part, `rankfield split` warns."""


def command(
    dataset: Dataset,
    out: NewDataset,
    *,
    queries: Annotated[
        float | None,
        typer.Option(help="Fraction of the queries seen in training; 0.8.", show_default=False),
    ] = None,
    documents: Annotated[
        float | None,
        typer.Option(
            help="Fraction of the documents seen in training; 0.5. 1: divide queries alone, and "
            "search all documents.",
            show_default=False,
        ),
    ] = None,
    dev: Annotated[
        float, typer.Option(help="Fraction of each side's queries for development; may be 0.")
    ] = 0.5,
    group_documents_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Documents with the same value stay on one side."),
    ] = None,
    group_queries_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Queries with the same value stay on one side."),
    ] = None,
    stratify_documents_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The fractions hold for each value of this column."),
    ] = None,
    stratify_queries_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="The same for queries; frequency: the number of judgments."
        ),
    ] = None,
    by_time: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TABLE.]COLUMN[=CUT]",
            help="Seen before a cut, unseen from it on; repeatable: queries.asked=2025-01-01.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(metavar="K", help="Each query and document unseen in one of K data sets."),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(metavar="I", help="Make this fold alone, counted from 0.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    compare_all_images: Annotated[
        bool,
        typer.Option(
            "--compare-all-images", help="Look for identical images even among over 20,000."
        ),
    ] = False,
    near_texts: Annotated[
        float | None,
        typer.Option(metavar="JACCARD", help="Report near duplicates of texts that cross: 0.8."),
    ] = None,
    near_images: Annotated[
        int | None,
        typer.Option(metavar="BITS", help="Report near duplicates of images that cross: 6."),
    ] = None,
    engine: EngineOption = "local",
) -> None:
    """Divide a data set into in_domain, novel_query, novel_document and zero_shot.

    Queries with the same words stay on one side, and so do documents of one group. The result
    depends on the contents and the seed, not on the order of rows. Prints the sizes and a report
    of what still crosses: equal titles, identical images, with --near-… those alike.

    Example: rankfield split shop shop-split --group-documents-by style_id
    """

    from rankfield.engines import make_engine
    from rankfield.files import new_folder
    from rankfield.outputs import require_new
    from rankfield.schema import DatasetFolder

    require_new(out)
    _require_sense(folds, fold, queries, documents)
    data = DatasetFolder.load(dataset)
    how = {
        "queries": 0.8 if queries is None else queries,
        "documents": 0.5 if documents is None else documents,
        "dev": dev,
        "stratify_documents_by": stratify_documents_by,
        "stratify_queries_by": stratify_queries_by,
        "by_time": _time_rules(data, by_time or []),
        "folds": folds,
        "seed": seed,
    }
    groups = {"group_documents_by": group_documents_by, "group_queries_by": group_queries_by}
    looked_for = {
        "near_texts": near_texts,
        "near_images": near_images,
        "engine": make_engine(engine),
        **({"max_images": None} if compare_all_images else {}),
    }
    if folds is None or fold is not None:
        _make(data, out, how | groups | {"fold": fold or 0}, looked_for | groups)
    else:
        with new_folder(out) as temporary:
            for number in range(folds):
                place = temporary / f"fold-{number}"
                _make(data, place, how | groups | {"fold": number}, looked_for | groups)
    echo(f"wrote {out}")


def _make(
    data: DatasetFolder,
    place: Path,
    how: dict[str, Any],
    looked_for: dict[str, Any],
) -> None:
    """Divide, look for leaks, save, and say what came of it."""
    from rankfield.curation import leak_report, split

    done = split(data, **how)
    leaks = leak_report(done, **looked_for)
    done.save(place)
    console().print(_sizes(done))
    if warning := _few_queries(done):
        echo(warning)
    for note in done.provenance.notes:
        if note.startswith("split: "):
            echo(f"- {note}")
    console().print(leaks)


def _few_queries(dataset: Tables) -> str:
    """Return a warning of parts with so few queries that their means say little; "" if none."""
    from rankfield.curation import split_sizes

    parts = [
        f"{split} {subset} ({queries})"
        for split, subset, queries, *_ in split_sizes(dataset).rows()
        if 0 < queries < _FEW
    ]
    if not parts:
        return ""
    return (
        f"warning: few queries in {', '.join(parts)}: means over fewer than {_FEW} have wide "
        "intervals, and choosing by them is mostly chance. A smaller --queries leaves more queries "
        "unseen; --folds uses all of them in turn."
    )


def _require_sense(
    folds: int | None, fold: int | None, queries: float | None, documents: float | None
) -> None:
    if fold is not None and folds is None:
        raise InputError("--fold needs --folds: of how many?")
    if folds is not None and folds < 2:
        raise InputError(f"expected 2 folds or more, found {folds}", where="--folds")
    if folds is not None and (queries is not None or documents not in (None, 1)):
        raise InputError(
            "the number of folds decides the fractions",
            remedy="Leave out --queries and --documents, or --folds; --documents 1 divides "
            "queries alone.",
        )


def _time_rules(data: Tables, texts: list[str]) -> list[TimeRule]:
    """Read [TABLE.]COLUMN[=CUT]; the table may be left out where one alone has the column."""
    from rankfield.curation import TimeRule

    rules = []
    for text in texts:
        name, _, cut = text.partition("=")
        tables = [t for t in ("queries", "documents", "judgments") if name in data.schema(t)]
        if len(tables) == 1:
            name = f"{tables[0]}.{name}"
        rules.append(TimeRule.parse(name, cut or None))
    return rules


def _sizes(dataset: Tables) -> Table:
    import polars as pl
    from rich.table import Table

    from rankfield.curation import split_sizes

    table = Table("split", "subset", "queries", "documents", "judgments", title="splits")
    for column in table.columns[2:]:
        column.justify = "right"
    for split, subset, *counts in split_sizes(dataset).filter(pl.col("queries") > 0).rows():
        table.add_row(split, subset, *(f"{count:,}" for count in counts))
    return table
