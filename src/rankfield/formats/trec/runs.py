"""TREC's qrels and run files: judgments and rankings as columns delimited by blanks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.files import new_file
from rankfield.formats.checks import check_pairs
from rankfield.io.lines import read_lines, split_lines
from rankfield.io.numbers import finite_numbers, number_texts
from rankfield.io.table import Table

__all__ = [
    "qrels_table",
    "read_qrels",
    "read_run",
    "require_words",
    "run_table",
    "write_qrels",
    "write_run",
]

_QRELS = ("query_id", "iteration", "doc_id", "score")
_RUN = ("query_id", "q0", "doc_id", "rank", "score", "tag")


def read_qrels(path: str | Path) -> pl.DataFrame:
    """Read a qrels file: a line `query_id iteration doc_id grade` for each judgment.

    Columns are delimited by blanks or tabs; grades are kept as floats, negative ones too; the
    iteration is dropped. UTF-8 with or without a byte order mark, or that compressed with gzip.

    Returns:
        query_id, doc_id (text, verbatim), score (float64), in the file's order.

    Raises:
        DataError: no such file, another number of columns, a grade that is no finite number, a
            pair judged twice, not UTF-8, a gzip file cut off; with file and line.
    """
    return qrels_table(path).frame


def qrels_table(path: str | Path, *, once: bool = True, remedy: str = "Keep one of them.") -> Table:
    """Read a qrels file as `read_qrels` does, and keep where each row stands.

    Without `once` a pair may be judged twice; else `remedy` says what to do about one.
    """
    table = split_lines(read_lines(path), _QRELS)
    scores = finite_numbers(table, "score", unit="line")
    table = table.with_frame(table.frame.select("query_id", "doc_id", score=scores))
    if once:
        check_pairs(table, remedy)
    return table


def read_run(path: str | Path) -> pl.DataFrame:
    """Read a run file: a line `query_id Q0 doc_id rank score tag` for each document found.

    Returns:
        query_id, doc_id (text), rank (int64), score (float64), tag (text), in the file's order.
        Nothing is sorted: trec_eval goes by score alone and does not look at the rank.

    Raises:
        DataError: as `read_qrels`, or a rank that is no whole number of 0 or more.
    """
    return run_table(path).frame


def run_table(path: str | Path) -> Table:
    """Read a run file as `read_run` does, and keep where each row stands."""
    table = split_lines(read_lines(path), _RUN, rest=True)
    ranks, scores = (finite_numbers(table, name, unit="line") for name in ("rank", "score"))
    wrong = (ranks != ranks.floor()) | (ranks < 0) | (ranks >= 2**53)
    table.refuse(
        "rank",
        wrong,
        "expected a whole number of 0 or more, found {}",
        "The columns are query_id, Q0, doc_id, rank, score, tag.",
    )
    frame = table.frame.select(
        "query_id", "doc_id", rank=ranks.cast(pl.Int64), score=scores, tag="tag"
    )
    table = table.with_frame(frame)
    check_pairs(table)
    return table


def write_qrels(judgments: pl.DataFrame, path: str | Path) -> None:
    """Write query_id, doc_id and score as a qrels file, iteration 0, whole or not at all.

    Whole scores are written as integers. Others keep their fraction, which trec_eval itself cuts
    off; ir_measures and rankfield read it.

    Raises:
        DataError: an id that is empty or holds white space, a score that is not finite.
        OutputError: the file cannot be written.
    """
    _write(judgments, path, ["query_id", pl.lit("0"), "doc_id", "score"])


def write_run(run: pl.DataFrame, path: str | Path) -> None:
    """Write query_id, doc_id, rank, score and tag as a run file, whole or not at all.

    Raises:
        DataError: an id or tag that is empty or holds white space, a score that is not finite.
        OutputError: the file cannot be written.
    """
    _write(run, path, ["query_id", pl.lit("Q0"), "doc_id", "rank", "score", "tag"])


def _write(frame: pl.DataFrame, path: str | Path, columns: Sequence[str | pl.Expr]) -> None:
    for name in ("query_id", "doc_id", "tag"):
        if name in frame.columns:
            require_words(frame, name)
    if not frame["score"].is_finite().fill_null(False).all():
        row = int((~frame["score"].is_finite().fill_null(False)).arg_max() or 0)
        raise DataError(
            f"expected a finite number, found {frame['score'][row]}",
            where=f"row {row} (counted from 0), column 'score'",
        )
    texts = frame.with_columns(number_texts("score"))
    with new_file(path) as temporary:
        texts.select(pl.concat_str(columns, separator=" ").alias("line")).write_csv(
            temporary, include_header=False, quote_style="never"
        )


def require_words(frame: pl.DataFrame, column: str) -> None:
    """Look whether every id can stand in a file whose columns are delimited by blanks.

    Raises:
        DataError: one is empty or holds white space.
    """
    bad = ~frame[column].str.contains(r"^\S+$").fill_null(False)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{frame[column][row]!r} cannot stand in a file whose columns are delimited by blanks",
            where=f"row {row} (counted from 0), column {column!r}",
            remedy="Give it a name without white space.",
        )
