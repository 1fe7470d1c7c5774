"""Judgment lists as text, as the Learning to Rank plugins of Elasticsearch and OpenSearch use."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.io.lines import read_lines
from rankfield.io.numbers import finite_numbers, number_texts
from rankfield.io.table import Table

__all__ = ["judgment_lines", "ltr_tables"]

_QUERY = r"^\s*#\s*qid:(\S+?):\s*(.*?)(?:\*[0-9.]+)?\s*$"
_WEIGHT = r"\*[0-9.]+$"
_JUDGMENT = r"^\s*(\S+)\s+qid:(\S+)(?:\s+\d+:\S+)*\s*#\s*(\S+)(?:\s+(.*?))?\s*$"


def ltr_tables(path: Path) -> tuple[Table, Table]:
    """Read `# qid:1: rambo` for each query and `4 qid:1 # 7555 Rambo` for each judgment.

    Feature values between qid and # are dropped, and the weight of `# qid:1: rambo*1`.

    Returns:
        query_id, query; and query_id, doc_id, score, title (null where there is none).

    Raises:
        DataError: a line that is neither, a grade that is no finite number, a query without a
            header line or with two; with file and line.
    """
    lines = read_lines(path)
    comments = lines.frame["text"].str.contains(r"^\s*#")
    queries = _queries(lines.filter(comments))
    rated = lines.filter(~comments)
    if rated.frame.is_empty():
        raise DataError(
            "expected at least one judgment, found none",
            where=str(path),
            remedy="Write lines like `4 qid:1 # 7555`.",
        )
    names = ["score", "query_id", "doc_id", "title"]
    groups = rated.frame["text"].str.extract_groups(_JUDGMENT).struct.rename_fields(names)
    table = rated.with_frame(groups.struct.unnest())
    missing = table.frame["score"].is_null()
    if missing.any():
        row = int(missing.arg_max() or 0)
        raise DataError(
            f"expected a line like `4 qid:1 # 7555 title`, found {rated.frame['text'][row][:60]!r}",
            where=rated.where(row),
            remedy="Write grade, qid:ID, # and the document's id, delimited by blanks.",
        )
    frame = table.frame.with_columns(
        finite_numbers(table, "score", unit="line"), pl.col("title").replace("", None)
    )
    unknown = ~frame["query_id"].is_in(queries.frame["query_id"].implode())
    if unknown.any():
        row = int(unknown.arg_max() or 0)
        raise DataError(
            f"there is no line `# qid:{frame['query_id'][row]}: …` with the text of this query",
            where=table.where(row, "query_id"),
            remedy="Add it to the head of the file.",
        )
    return queries, table.with_frame(frame.select("query_id", "doc_id", "score", "title"))


def judgment_lines(
    queries: pl.DataFrame, judgments: pl.DataFrame, titles: pl.DataFrame
) -> pl.Series:
    """Return the lines of a judgment list, grouped by query.

    Args:
        queries: query_id (without white space), query (one line).
        judgments: query_id, doc_id (without white space), score.
        titles: doc_id, title (one line, or null).
    """
    # a text that ends like a weight gets one, so that it is not taken for it
    weight = pl.when(pl.col("query").str.contains(_WEIGHT)).then(pl.lit("*1"))
    text = pl.col("query") + weight.otherwise(pl.lit(""))
    # not pl.format, which panics at columns of several chunks (polars 2.1)
    head = queries.select(
        pl.concat_str(pl.lit("# qid:"), "query_id", pl.lit(": "), text).alias("line")
    )
    order = queries.select("query_id").with_row_index("order")
    rated = (
        judgments.join(order, on="query_id", how="inner", maintain_order="left")
        .sort("order", maintain_order=True)
        .join(titles, on="doc_id", how="left", maintain_order="left")
    )
    title = pl.when(pl.col("title") != "").then(" " + pl.col("title")).otherwise(pl.lit(""))
    body = rated.select(
        pl.concat_str(
            number_texts("score"), pl.lit(" qid:"), "query_id", pl.lit(" # "), "doc_id", title
        ).alias("line")
    )
    return pl.concat([head["line"], pl.Series("line", ["#"]), body["line"]])


def _queries(comments: Table) -> Table:
    groups = comments.frame["text"].str.extract_groups(_QUERY)
    frame = groups.struct.rename_fields(["query_id", "query"]).struct.unnest()
    known = frame["query_id"].is_not_null() & (frame["query"] != "")
    table = comments.with_frame(frame).filter(known)
    twice = ~table.frame["query_id"].is_first_distinct()
    table.refuse("query_id", twice, "the query {} has two lines", "Keep one of them.")
    return table
