"""The queries of a job, whatever their source: each once, with an id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.collect.categories import (
    LONGEST_FILE,
    Category,
    leaves,
    queries_of,
    read_categories,
)
from rankfield.collect.generated import generation_request, parse_queries, prompt_text
from rankfield.collect.job import QueriesSection
from rankfield.curation.texts import near_key
from rankfield.errors import DataError, RemoteError
from rankfield.io.tables import SUFFIXES, read_table
from rankfield.io.text import table_suffix
from rankfield.paths import read_bytes
from rankfield.progress import progress
from rankfield.unicode_text import half_surrogate
from rankfield.web import Fetcher, Journal, Request, RequestError
from rankfield.web.fetcher import ServerGivenUpError

__all__ = ["Report", "job_queries", "read_queries"]

Report = Callable[[str], None]


def job_queries(
    section: QueriesSection, journal: Journal, fetcher: Callable[[], Fetcher], report: Report
) -> pl.DataFrame:
    """Return the queries: ``query_id``, ``query``, and ``category`` where they come from one.

    Queries that are the same but for case, punctuation, number and order of words count once; the
    first stays. An id that the file does not give is made from the text.

    Raises:
        DataError: the file is malformed; says where.
        RemoteError: the language model could not be asked about some categories.
    """
    file = Path(section.file)
    if section.source == "file":
        frame = read_queries(file, section.column)
    else:
        categories = read_categories(file)
        chosen = leaves(categories) if section.levels == "leaves" else categories
        if section.source == "generate":
            # each category gives one query at least: more need not be asked
            pairs = _generated(section, chosen[: section.maximum], journal, fetcher)
        else:
            pairs = [(q, c) for c in chosen for q in queries_of(c, section.templates)]
        frame = pl.DataFrame(
            {"query": [q for q, _ in pairs], "category": [" > ".join(c) for _, c in pairs]},
            schema={"query": pl.String, "category": pl.String},
        )
    return _distinct(frame, section.maximum, report)


def read_queries(path: Path, column: str = "query") -> pl.DataFrame:
    """Return the queries of a text file, one a line, or of a table: ``query``, ``query_id``.

    ``query_id`` is there only if the table has it.

    Raises:
        DataError: no such file, no such column, an empty query, an id that occurs twice; says in
            which row.
    """
    if table_suffix(path) not in SUFFIXES:
        return _lines(path)
    table = read_table(path)
    if column not in table.frame.columns:
        raise DataError(
            f"column {column!r} is missing; found {', '.join(table.frame.columns)}",
            where=str(path),
            remedy="Name the column with the query: queries.column.",
        )
    ids = ["query_id"] if "query_id" in table.frame.columns else []
    frame = table.frame.select(pl.col(column).cast(pl.String).alias("query"), *ids)
    frame = frame.with_columns(pl.col(i).cast(pl.String) for i in ids)
    for name, label in (("query", column), *((i, i) for i in ids)):
        empty = frame[name].fill_null("").str.strip_chars() == ""
        if empty.any():
            raise DataError(
                "expected a text, found nothing",
                where=table.where(int(empty.arg_max() or 0), label),
                remedy="Fill the value, or remove the row.",
            )
    twice = ~frame["query_id"].is_first_distinct() if ids else pl.Series([False])
    if twice.any():
        row = int(twice.arg_max() or 0)
        raise DataError(
            f"the id {frame['query_id'][row]!r} occurs more than once",
            where=table.where(row, "query_id"),
            remedy="Give each query an id of its own.",
        )
    return frame


def _lines(path: Path) -> pl.DataFrame:
    try:
        data = read_bytes(path, LONGEST_FILE, DataError)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError("there is no such file", where=str(path)) from None
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise DataError(
            "not UTF-8", where=f"{path}, row {row}", remedy="Save the file as UTF-8."
        ) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(path)) from None
    queries = [line.strip() for line in text.splitlines() if line.strip()]
    if not queries:
        raise DataError(
            "expected at least one query, found none",
            where=str(path),
            remedy="Write one query a line.",
        )
    return pl.DataFrame({"query": queries})


def _generated(
    section: QueriesSection,
    categories: list[Category],
    journal: Journal,
    fetcher: Callable[[], Fetcher],
) -> list[tuple[str, Category]]:
    if section.endpoint is None:  # the job refuses it
        raise AssertionError
    prompt = prompt_text(section.prompt)
    asked = {
        category: generation_request(section.endpoint, prompt, category, section.per_category)
        for category in categories
    }
    failed: list[RequestError] = []
    missing = [request for request in asked.values() if request.key not in journal]
    with progress("queries", len(asked), done=len(asked) - len(missing), unit="categories") as done:

        def ask(request: Request) -> None:
            try:
                journal.put(request.key, web.fetch(request, parse_queries))
            except ServerGivenUpError:
                raise
            except RequestError as error:
                failed.append(error)

        if missing:
            with fetcher() as web:
                web.each(ask, missing, done)
    if failed:
        raise RemoteError(
            f"{len(failed)} of {len(asked)} categories have no queries; the first: {failed[0]}",
            where="queries",
            remedy="Run the same command again: only those are asked for.",
        )
    return [
        (query, category)
        for category, request in asked.items()
        for query in (journal.read(request.key, _texts) or ())[: section.per_category]
    ]


def _texts(value: Any) -> list[str]:
    """Return the queries that the journal holds."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError("expected a list of texts")
    if half_surrogate(value) is not None:
        raise ValueError("half of a surrogate pair")
    return value


def _distinct(frame: pl.DataFrame, maximum: int | None, report: Report) -> pl.DataFrame:
    frame = frame.with_columns(pl.col("query").str.replace_all(r"\s+", " ").str.strip_chars())
    key = near_key(frame["query"])
    # a query of signs alone has no words to compare
    key = pl.select(pl.when(key == "").then(frame["query"]).otherwise(key)).to_series()
    kept = frame.filter(key.is_first_distinct())
    if kept.height < frame.height:
        report(f"{frame.height - kept.height:,} queries repeat another and are left out")
    if "query_id" not in kept.columns:
        kept = kept.with_columns(query_id=pl.Series(_ids(kept["query"]), dtype=pl.String))
    rest = [c for c in kept.columns if c not in ("query_id", "query")]
    return kept.select("query_id", "query", *rest).head(maximum or kept.height)


def _ids(queries: Iterable[str]) -> list[str]:
    return [f"q{hashlib.sha256(query.encode()).hexdigest()[:16]}" for query in queries]
