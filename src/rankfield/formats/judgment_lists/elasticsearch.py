"""Judgment lists of Elasticsearch and OpenSearch, in the three layouts that they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Unpack

import polars as pl

from rankfield.errors import DataError
from rankfield.files import new_file, write_json
from rankfield.formats.assemble import DatasetOptions
from rankfield.formats.exports import (
    export_line,
    joined_texts,
    lost_columns,
    query_texts,
    text_fields,
)
from rankfield.formats.judgment_lists.documents import read_list
from rankfield.formats.judgment_lists.ltr import judgment_lines, ltr_tables
from rankfield.formats.judgment_lists.rank_eval import rank_eval_ratings, rank_eval_request
from rankfield.formats.judgment_lists.search_relevance import (
    judgment_list,
    search_relevance_ratings,
    search_relevance_source,
)
from rankfield.formats.layout import LIST_OPTIONS, Layout
from rankfield.io.json_documents import read_json_document
from rankfield.io.table import Table
from rankfield.outputs import require_new
from rankfield.schema import RankingDataset

__all__ = [
    "LAYOUT",
    "Kind",
    "listed_tables",
    "looks_like_elasticsearch",
    "read_elasticsearch",
    "write_elasticsearch",
]

Kind = Literal["rank-eval", "opensearch", "ltr"]


def read_elasticsearch(
    src: str | Path,
    *,
    documents: str | Path | None = None,
    **options: Unpack[DatasetOptions],
) -> tuple[RankingDataset, list[str]]:
    """Read a judgment list and the documents it rates; write nothing.

    The form is detected from the content: the body of a `_rank_eval` request; a judgment list of
    OpenSearch's Search Relevance Workbench, as its API reads or writes it; or the text of the
    Learning to Rank plugins.

    Args:
        src: the judgment list.
        documents: a table with a line for each document and its id in `_id`, doc_id, docId, id or
            product_id. Where there is a column `_source`, as in exports of an index, its keys are
            the columns; bulk requests ({"index": …}, then the document) are read too. The paths of
            images start from its folder. Only a Learning to Rank list with titles can do without.
        options: see `DatasetOptions`.

    Returns:
        The data set and, one per line, what was guessed or left out.

    Raises:
        DataError: a file is missing or broken, with file and place; see `assemble`.
    """
    return read_list("elasticsearch", listed_tables, src, documents, options)


def listed_tables(path: Path, notes: list[str]) -> tuple[pl.DataFrame, Table, bool]:
    """Return the queries and judgments of a list, and whether it has no ids of queries.

    Raises:
        DataError: the file is missing or broken, with its place.
    """
    kind, content = _content(path)
    queries, judgments = _judgments(path, kind, content, notes)
    return queries.frame, judgments, kind == "opensearch"


def write_elasticsearch(
    dataset: RankingDataset,
    out: str | Path,
    *,
    kind: Kind = "rank-eval",
    index: str = "documents",
    field: str | None = None,
) -> list[str]:
    """Write the judgments as a new file of one of the three kinds, whole or not at all.

    Args:
        dataset: what to write.
        out: the file.
        kind: "rank-eval" is the body of a `_rank_eval` request with a match query for each query;
            "opensearch" that of PUT _plugins/_search_relevance/judgments; "ltr" is text with the
            queries in its head.
        index: of the documents, for rank-eval.
        field: that the match queries search, for rank-eval; the first text field by default.

    Returns:
        What the layout cannot hold, one per line.

    Raises:
        DataError: fractions in rank-eval, two queries of one text in opensearch, an id with white
            space in ltr, a query without text.
        OutputError: `out` exists or cannot be written.
    """
    path = Path(out)
    require_new(path)
    notes: list[str] = []
    queries = dataset.queries.select("query_id").with_columns(
        query=query_texts(dataset, "elasticsearch", notes)
    )
    lost_columns(dataset, {"judgments": ["query_id", "doc_id", "score"]}, notes)
    if kind == "ltr":
        titles = text_fields(dataset, "documents", "elasticsearch", [])
        notes.append(f"documents: only {titles[0]} is kept, as the title of judged documents")
        lines = _ltr_lines(dataset, queries, titles[0], notes)
        with new_file(path) as temporary:
            lines.to_frame().write_csv(temporary, include_header=False, quote_style="never")
        return notes
    notes.append("documents: not part of this layout; export them with `rankfield export tables`")
    if kind == "opensearch":
        notes.append("queries: the layout has no ids, the texts tell them apart")
        content = judgment_list(dataset.name, queries, dataset.judgments)
        write_json(path, {"description": export_line(dataset), **content})
    else:
        texts = [f.name for f in dataset.document_fields if f.modality == "text"]
        searched = field or (texts[0] if texts else "title")
        write_json(path, rank_eval_request(queries, dataset.judgments, index=index, field=searched))
    return notes


def looks_like_elasticsearch(src: Path) -> str | None:
    """Return why a file looks like a judgment list, or None."""
    if not src.is_file() or src.suffix.lower() not in (".json", ".txt"):
        return None
    with src.open("rb") as file:
        head = file.read(65_536).decode("utf-8", errors="replace").lstrip("\ufeff \r\n\t")
    if head.startswith(("{", "[")):
        for sign, name in (
            ('"requests"', "a ranking evaluation request"),
            ('"judgmentRatings"', "a judgment list of OpenSearch"),
            ('"docId"', "a judgment list of OpenSearch"),
        ):
            if sign in head and ('"ratings"' in head):
                return f"it is JSON with {sign}, {name}"
        return None
    return 'it holds lines with "qid:" and "#"' if "qid:" in head and "#" in head else None


def _content(path: Path) -> tuple[Kind, Any]:
    if not path.is_file():
        raise DataError(
            "expected a file, found a folder" if path.is_dir() else "there is no such file",
            where=str(path),
            remedy="Name the judgment list.",
        )
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith((b"{", b"[")):
        return "ltr", None
    content = read_json_document(path)
    if isinstance(content, dict) and "requests" in content:
        return "rank-eval", content
    entries = search_relevance_source(content)
    if entries is None:
        keys = ", ".join(map(repr, content)) if isinstance(content, dict) else "a list"
        raise DataError(
            f"expected the key 'requests' or 'judgmentRatings', found {keys[:200]}",
            where=str(path),
            remedy="See docs/formats.md for the layouts.",
        )
    return "opensearch", entries


def _judgments(path: Path, kind: Kind, content: Any, notes: list[str]) -> tuple[Table, Table]:
    if kind == "ltr":
        return ltr_tables(path)
    if kind == "rank-eval":
        return rank_eval_ratings(path, content, notes)
    return search_relevance_ratings(path, content)


def _ltr_lines(
    dataset: RankingDataset, queries: pl.DataFrame, title: str, notes: list[str]
) -> pl.Series:
    judgments = dataset.judgments.select("query_id", "doc_id", "score")
    bad = ~judgments["doc_id"].str.contains(r"^\S+$")
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"the id {judgments['doc_id'][row]!r} holds white space",
            where=f"judgments, row {row} (counted from 0), column 'doc_id'",
            remedy="Give the document another id, or export with kind=opensearch.",
        )
    if not queries["query_id"].str.contains(r"^\d+$").all():
        notes.append("queries: numbered 1, 2 … since the layout takes numbers as ids")
        numbers = pl.int_range(1, pl.len() + 1).cast(pl.String)
        names = queries.select("query_id", number=numbers)
        judgments = judgments.join(names, on="query_id", maintain_order="left").select(
            "doc_id", "score", query_id="number"
        )
        queries = queries.with_columns(query_id=numbers)
    titles = dataset.documents.select(
        "doc_id", title=joined_texts(dataset.documents, [title], line=True)
    )
    head = pl.Series("line", [f"# {' '.join(export_line(dataset).split())}"])
    return pl.concat([head, judgment_lines(queries, judgments, titles)])


LAYOUT = Layout(
    name="elasticsearch",
    description="judgment lists of Elasticsearch and OpenSearch, and a table of documents",
    signs="a .json file with requests or judgmentRatings, or a .txt file with qid:",
    example="rankfield import elasticsearch rank_eval.json shop --documents products.jsonl",
    source="Judgment list: _rank_eval request, OpenSearch list, or text with qid:.",
    help="""
    Make a data set from a judgment list and a table of the documents it rates.

    The list is the body of a _rank_eval request, a list of OpenSearch's Search Relevance Workbench,
    or text of the Learning to Rank plugins; its content says which. Nothing is written unless all
    is well. With --judgments-only, OUT is a table of the judgments, for metrics and training.

    Example: rankfield import elasticsearch rank_eval.json shop --documents products.jsonl
    """,
    read=read_elasticsearch,
    write=write_elasticsearch,
    looks_like=looks_like_elasticsearch,
    options=LIST_OPTIONS,
    judgments=listed_tables,
)
