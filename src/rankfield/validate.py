"""The audit of a data set: each problem with its table, row and field, and a cleaned copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import polars as pl

from rankfield.errors import DataError, ImageError
from rankfield.field_values import is_absent, places, without_items
from rankfield.files import stays_inside
from rankfield.images import MAX_PIXELS, image_notes
from rankfield.progress import progress
from rankfield.schema import Field, RankingDataset

__all__ = [
    "Problem",
    "Severity",
    "Summary",
    "audit",
    "first_error",
    "fix",
    "image_problems",
    "require_valid",
    "summarise",
]

Severity = Literal["error", "warning"]

_LISTED = 1000
_IDS = {"queries": "query_id", "documents": "doc_id"}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a data set.

    `row` is the index into the table, counted from 0, or None for the table as a whole; `item` the
    place in a list of pictures, from 0, or None where there is no list. `kind` is a short fixed
    phrase ("duplicate id"), `message` says what was found. An "error" breaks
    training or measurement; a "warning" is allowed but worth knowing. `count` is above 1 only in
    an entry without a row that stands for the rows not listed.
    """

    table: str
    row: int | None
    field: str
    kind: str
    message: str
    severity: Severity = "error"
    count: int = 1
    item: int | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = f", field {self.field!r}" if self.field else ""
        item = "" if self.item is None else f", item {self.item}"
        return f"{self.table}{row}{column}{item}: {self.message}"


@dataclass(frozen=True)
class Summary:
    """What a data set holds.

    `scores` is the distribution as (from, to, count): one entry for each distinct score where
    there are at most 12, else 10 bins of equal width, each without its upper end but the last.
    `never_judged` counts documents without a judgment.
    """

    queries: int
    documents: int
    judgments: int
    never_judged: int
    judgments_per_query: float
    scores: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class _Finding:
    """The rows of a table that fail one check; "{}" in the message stands for the field's value."""

    table: str
    field: str
    kind: str
    rows: pl.Series
    message: str
    severity: Severity = "error"


def audit(
    dataset: RankingDataset, *, images: bool = True, max_pixels: int = MAX_PIXELS
) -> list[Problem]:
    """Return everything wrong with a data set, in the order of checks, tables and rows.

    Errors: an empty table; null or empty, duplicate and dangling ids; duplicate pairs; scores that
    are null, not finite, or outside the stated scale; records without any field; pictures missing,
    unreadable, truncated, too large, or outside the folder. Warnings: empty fields, queries without
    a judgment or without a relevant one, pictures that are converted on reading.

    Of each check and column the first 1,000 rows are listed and one entry without a row counts
    the rest; pictures are listed all.

    Args:
        dataset: any ranking data set.
        images: decode every picture too, in threads.
        max_pixels: pictures with more are errors.
    """
    problems = [
        Problem(table, None, "", "empty table", "expected at least one row, found none")
        for table in ("queries", "documents", "judgments")
        if getattr(dataset, table).is_empty()
    ]
    for finding in _findings(dataset):
        problems += _listed(dataset, finding)
    if images:
        problems += image_problems(dataset, max_pixels)
    return problems


def require_valid(dataset: RankingDataset) -> None:
    """Check what every later step relies on; no picture is opened.

    Raises:
        DataError: an empty table, a null, empty, duplicate or dangling id, a duplicate pair, or a
            score that is not finite; names the first with table, row and column, and how many more.
    """
    for table in ("queries", "documents", "judgments"):
        if getattr(dataset, table).is_empty():
            raise DataError("expected at least one row, found none", where=_where(dataset, table))
    found = first_error(dataset)
    if found is not None:
        problem, more = found
        raise DataError(
            problem.message + (f" (and {more:,} more rows)" if more else ""),
            where=f"{_where(dataset, problem.table)}, row {problem.row} (counted from 0),"
            f" column {problem.field!r}",
            remedy="See `rankfield check`; `--fix` writes a cleaned copy.",
        )


def first_error(dataset: RankingDataset) -> tuple[Problem, int] | None:
    """Return the first problem of ids, pairs and scores, and how many more rows share it."""
    for finding in filter(_nonempty, _structure(dataset)):
        return _listed(dataset, finding)[0], len(finding.rows) - 1
    return None


def fix(dataset: RankingDataset, problems: list[Problem]) -> tuple[RankingDataset, list[str]]:
    """Return a copy without the errors, and what was dropped, a line each.

    Of duplicates the first stays. Pictures that `problems` (from `audit`) calls bad are cleared,
    in a list left out; records with no field left are dropped, and judgments of unknown records.

    Raises:
        DataError: nothing would be left of a table.
    """
    lines: list[str] = []
    dataset = _clear_images(dataset, problems, lines)
    for table in ("queries", "documents", "judgments"):
        # each table is looked at anew: what was dropped from the ones before counts as unknown
        errors = [f for f in _findings(dataset) if (f.table, f.severity) == (table, "error")]
        lines += [f"{table}, {f.field}: dropped {len(f.rows):,} row(s), {f.kind}" for f in errors]
        gone = pl.concat([pl.Series(dtype=pl.UInt32), *(f.rows for f in errors)]).unique()
        frame: pl.DataFrame = getattr(dataset, table)
        kept = frame.filter(~pl.int_range(pl.len(), dtype=pl.UInt32).is_in(gone.implode()))
        if kept.is_empty():
            raise DataError(
                f"nothing is left after dropping {len(gone):,} broken row(s)",
                where=_where(dataset, table),
            )
        if len(gone):
            dataset = dataset.with_tables(**{table: kept})  # type: ignore[arg-type]
    return dataset.with_tables(note=f"check --fix: {len(lines)} repair(s)"), lines


def summarise(dataset: RankingDataset) -> Summary:
    """Return the counts of a data set and the distribution of its finite scores."""
    judgments = dataset.judgments
    judged = judgments["doc_id"].unique().implode()
    never = dataset.documents.select((~pl.col("doc_id").is_in(judged)).sum()).item()
    queries = judgments["query_id"].n_unique()
    return Summary(
        queries=dataset.queries.height,
        documents=dataset.documents.height,
        judgments=judgments.height,
        never_judged=int(never),
        judgments_per_query=judgments.height / max(queries, 1),
        scores=_distribution(judgments["score"].drop_nulls()),
    )


def _distribution(scores: pl.Series) -> tuple[tuple[float, float, int], ...]:
    scores = scores.filter(scores.is_finite())
    if scores.is_empty():
        return ()
    distinct = scores.value_counts().sort("score") if scores.n_unique() <= 12 else None
    if distinct is not None:
        return tuple((value, value, count) for value, count in distinct.rows())
    low, high = float(scores.min()), float(scores.max())  # type: ignore[arg-type]
    width = (high - low) / 10
    bins = ((scores - low) / width).floor().clip(0, 9).cast(pl.Int64)
    counts = dict(bins.value_counts().rows())
    return tuple((low + i * width, low + (i + 1) * width, counts.get(i, 0)) for i in range(10))


def _where(dataset: RankingDataset, table: str) -> str:
    return f"{dataset.root or dataset.name}, {table}"


def _rows(frame: pl.DataFrame, bad: pl.Expr) -> pl.Series:
    return frame.select(row=pl.arg_where(bad.fill_null(False)))["row"].cast(pl.UInt32)


def _empty(column: str) -> pl.Expr:
    return is_absent(column, pl.String())


def _findings(dataset: RankingDataset) -> list[_Finding]:
    return list(filter(_nonempty, chain(_structure(dataset), _contents(dataset))))


def _nonempty(finding: _Finding) -> bool:
    return len(finding.rows) > 0


def _structure(dataset: RankingDataset) -> Iterator[_Finding]:
    """Yield the errors that would make joins and scores meaningless."""
    for table, column in _IDS.items():
        frame: pl.DataFrame = getattr(dataset, table)
        missing = _rows(frame, _empty(column))
        yield _Finding(table, column, "missing id", missing, "expected an id, found nothing")
        twice = _rows(frame, ~pl.col(column).is_first_distinct() & ~_empty(column))
        message = "the id {} occurs more than once"
        yield _Finding(table, column, "duplicate id", twice, message)
    judgments = dataset.judgments
    for table, column in _IDS.items():
        known = getattr(dataset, table)[column].drop_nulls().implode()
        missing = _rows(judgments, _empty(column))
        yield _Finding("judgments", column, "missing id", missing, "expected an id, found nothing")
        unknown = _rows(judgments, ~pl.col(column).is_in(known) & ~_empty(column))
        yield _Finding("judgments", column, "unknown id", unknown, f"{{}} is not among the {table}")
    yield _Finding(
        "judgments",
        "doc_id",
        "duplicate pair",
        _repeated_pairs(judgments),
        "the document {} is judged more than once for its query",
    )
    bad = _rows(judgments, pl.col("score").is_null() | ~pl.col("score").is_finite())
    yield _Finding(
        "judgments", "score", "score not finite", bad, "expected a finite number, found {}"
    )


def _repeated_pairs(judgments: pl.DataFrame) -> pl.Series:
    """Return the rows whose (query_id, doc_id) stands in an earlier row."""
    keys = ["query_id", "doc_id"]
    # a 64-bit hash of the pair rules out nearly all rows in little memory; the rest is compared
    hashes = judgments.select(pl.struct(keys).hash()).to_series()
    if hashes.n_unique() == len(hashes):
        return pl.Series(dtype=pl.UInt32)
    candidates = judgments.select(keys).with_row_index("row").filter(hashes.is_duplicated())
    candidates = candidates.drop_nulls()
    first = candidates.unique(subset=keys, keep="first").select("row")
    return candidates.join(first, on="row", how="anti", maintain_order="left")["row"]


def _contents(dataset: RankingDataset) -> Iterator[_Finding]:
    """Yield what is wrong with scores and fields though the structure holds."""
    scale, judgments = dataset.score_scale, dataset.judgments
    score = pl.col("score")
    outside = score.is_finite() & ((score < scale.minimum) | (score > scale.maximum))
    message = f"{{}} is outside the stated scale, {scale.minimum:g} to {scale.maximum:g}"
    rows = _rows(judgments, outside)
    yield _Finding("judgments", "score", "score outside the scale", rows, message)
    for table in _IDS:
        yield from _field_findings(dataset, table, dataset.fields(table))
    queries = dataset.queries
    judged = judgments["query_id"].drop_nulls().unique().implode()
    positive = judgments.filter(score >= scale.relevant)["query_id"].drop_nulls().unique().implode()
    known = pl.col("query_id").is_in(judged)
    for kind, bad, text in (
        ("query without judgments", ~known, "the query {} has no judgment"),
        (
            "query without a relevant document",
            known & ~pl.col("query_id").is_in(positive),
            f"the query {{}} has no score of {scale.relevant:g} or more",
        ),
    ):
        yield _Finding("queries", "query_id", kind, _rows(queries, bad), text, "warning")


def _field_findings(
    dataset: RankingDataset, table: str, fields: tuple[Field, ...]
) -> Iterator[_Finding]:
    if not fields:
        return
    frame: pl.DataFrame = getattr(dataset, table)
    empty = {f.name: is_absent(f.name, frame.schema[f.name]) for f in fields}
    nothing = pl.all_horizontal(empty.values())
    names = ", ".join(f.name for f in fields)
    yield _Finding(
        table, names, "no field", _rows(frame, nothing), f"all fields are empty: {names}"
    )
    if len(fields) > 1:
        for f in fields:
            rows = _rows(frame, empty[f.name] & ~nothing)
            yield _Finding(table, f.name, "empty field", rows, "the field is empty", "warning")


def _listed(dataset: RankingDataset, finding: _Finding) -> list[Problem]:
    frame: pl.DataFrame = getattr(dataset, finding.table)
    rows = finding.rows.head(_LISTED)
    values: list[object] = [None] * len(rows)
    if "{}" in finding.message:
        values = frame[finding.field].gather(rows).to_list()
    place = (finding.table, finding.field, finding.kind)
    problems = [
        Problem(
            place[0], row, *place[1:], finding.message.replace("{}", repr(value)), finding.severity
        )
        for row, value in zip(rows.to_list(), values, strict=True)
    ]
    more = len(finding.rows) - len(rows)
    if more:
        text = f"{more:,} more rows"
        problems.append(Problem(place[0], None, *place[1:], text, finding.severity, more))
    return problems


def image_problems(dataset: RankingDataset, max_pixels: int = MAX_PIXELS) -> list[Problem]:
    """Return the problems of the pictures alone, all of them; each is read and decoded."""
    columns = [
        (table, f.name, getattr(dataset, table)[f.name])
        for table in _IDS
        for f in dataset.fields(table)
        if f.modality == "image"
    ]
    total = sum(len(values) for _, _, values in columns)
    problems: list[Problem] = []
    if not total:
        return problems
    workers = min(16, 2 * (os.cpu_count() or 1))
    with (
        progress("checking pictures", total, unit="pictures") as advance,
        ThreadPoolExecutor(workers) as pool,
    ):
        for table, name, values in columns:
            for start in range(0, len(values), 1024):
                part = values.slice(start, 1024)
                rows, items, pictures = places(part)
                found = pool.map(lambda value: _look(dataset, value, max_pixels), pictures)
                several = isinstance(part.dtype, pl.List)
                for row, item, hits in zip(rows.tolist(), items.tolist(), found, strict=True):
                    place = item if several else None
                    problems += [
                        Problem(table, start + row, name, *hit, item=place) for hit in hits
                    ]
                advance(len(part))
    return problems


def _look(
    dataset: RankingDataset, value: str | bytes | None, max_pixels: int
) -> list[tuple[str, str, Severity]]:
    """Return kind, message and severity of what is wrong or unusual with one picture."""
    if not value:
        return []
    name = "the picture" if isinstance(value, bytes) else value
    source = dataset.image_source(value)
    if isinstance(value, str) and not stays_inside(value):
        return [("bad image", f"{name}: the path leads out of the data set's folder", "error")]
    try:
        notes = image_notes(source, where=name, max_pixels=max_pixels)
    except ImageError as error:
        return [("bad image", f"{name}: {error.problem}", "error")]
    return [("converted image", f"{name}: {note}", "warning") for note in notes]


def _clear_images(
    dataset: RankingDataset, problems: list[Problem], lines: list[str]
) -> RankingDataset:
    bad: dict[tuple[str, str], dict[int, set[int]]] = {}
    for problem in problems:
        if problem.kind == "bad image" and problem.row is not None:
            column = bad.setdefault((problem.table, problem.field), {})
            column.setdefault(problem.row, set()).add(problem.item or 0)
    for (table, name), items in bad.items():
        frame: pl.DataFrame = getattr(dataset, table)
        cleared = frame.with_columns(without_items(frame[name], items))
        dataset = dataset.with_tables(**{table: cleared})  # type: ignore[arg-type]
        count = sum(map(len, items.values()))
        lines.append(f"{table}, {name}: cleared {count:,} bad picture(s)")
    return dataset
