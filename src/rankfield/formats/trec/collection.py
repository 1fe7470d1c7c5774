"""A TREC test collection: qrels or a run, topics and documents, each in its own file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Unpack

import polars as pl

from rankfield.column_names import DOC_IDS, PLAIN_IDS, QUERY_IDS, find_column, normalised_name
from rankfield.errors import DataError
from rankfield.files import new_folder
from rankfield.foreign_files import own_paths
from rankfield.formats.assemble import DatasetOptions, Source, assemble
from rankfield.formats.exports import lost_columns, query_texts, write_record
from rankfield.formats.foreign_columns import with_standard_names
from rankfield.formats.guesses import guess_fields
from rankfield.formats.layout import DATASET_OPTIONS, Layout, Option
from rankfield.formats.trec.runs import qrels_table, require_words, run_table, write_qrels
from rankfield.formats.trec.tagged import holds_tag, read_tagged_documents, read_tagged_topics
from rankfield.formats.trec.xml import holds_xml_topics, read_xml_topics
from rankfield.io.lines import read_lines, split_lines
from rankfield.io.table import Table
from rankfield.io.tables import read_table
from rankfield.io.text import table_suffix
from rankfield.io.text_values import text_values
from rankfield.schema import RankingDataset
from rankfield.schema.header import IDS

__all__ = ["LAYOUT", "looks_like_trec", "read_trec", "write_trec"]

_NAMES = {
    "qrels": ("qrels",),
    "topics": ("topics", "queries"),
    "documents": ("documents", "docs", "corpus", "collection"),
}
_QUERY_IDS = (*QUERY_IDS, *PLAIN_IDS, "num", "number")
_DOC_IDS = (*DOC_IDS, *PLAIN_IDS)
_TEXTS = ("query", "title", "text", "question", "summary", "description")
_READ_BY_NAME = (".csv", ".jsonl", ".ndjson", ".parquet")


def read_trec(
    src: str | Path,
    *,
    qrels: str | Path | None = None,
    topics: str | Path | None = None,
    documents: str | Path | None = None,
    run: str | Path | None = None,
    depth: int | None = None,
    **options: Unpack[DatasetOptions],
) -> tuple[RankingDataset, list[str]]:
    """Read a folder with qrels, topics and documents; write nothing.

    The form of topics and documents is detected from their content: <top>, <topic> or <DOC>
    records; a table with a header (.csv, .jsonl, .parquet, or .tsv whose first value is the name of
    an id); else tab-delimited lines without a header (topics: id, text; documents: id, text, or id,
    title, text, or id, url, title, text).

    Args:
        src: the folder.
        qrels, topics, documents: the files, if not SRC/qrels*, topics* or queries*, and documents*,
            docs*, corpus* or collection*.
        run: a run file whose ranks serve as judgments in place of qrels: score = depth + 1 - rank.
        depth: ranks below are left out; by default the largest rank.
        options: see `DatasetOptions`.

    Returns:
        The data set and, one per line, what was guessed or left out.

    Raises:
        DataError: a file is missing or broken, with file and line; see `assemble`.
    """
    folder = Path(src)
    if not folder.is_dir():
        raise DataError(
            "expected a folder, found a file" if folder.exists() else "there is no such folder",
            where=str(folder),
            remedy="Name the folder that holds qrels, topics and documents.",
        )
    if run and qrels:
        raise DataError(
            "expected qrels or a run as judgments, found both", remedy="Leave one of them out."
        )
    notes: list[str] = []
    queries = _topics(Path(topics) if topics else _find(folder, "topics"), notes)
    texts = _documents(Path(documents) if documents else _find(folder, "documents"), notes)
    judgments = (
        _positions(Path(run), depth, notes)
        if run
        else qrels_table(
            qrels or _find(folder, "qrels"),
            once=options.get("duplicates", "error") == "error",
            remedy="Keep one of them, or choose with `--duplicates highest`.",
        )
    )
    source = Source(
        layout="trec",
        path=folder,
        root=folder,
        tables={
            "queries": queries,
            "documents": texts,
            "judgments": judgments,
        },
        fields={"queries": ["query"], "documents": _text_columns(texts)},
        notes=notes,
    )
    return assemble(source, **options)


def write_trec(dataset: RankingDataset, out: str | Path) -> list[str]:
    """Write qrels.txt, topics.tsv (id, text) and documents.jsonl, whole or not at all.

    Returns:
        What the layout cannot hold, one per line.

    Raises:
        DataError: an id with white space, a query without text.
        OutputError: `out` exists or cannot be written.
    """
    notes: list[str] = []
    require_words(dataset.queries, "query_id")
    topics = dataset.queries.select("query_id").with_columns(
        query=query_texts(dataset, "trec", notes)
    )
    images = [f.name for f in dataset.document_fields if f.modality == "image"]
    if images:
        notes.append(f"documents: left behind the images of {', '.join(images)}")
    stored = [n for n, kind in dataset.documents.schema.items() if kind == pl.Binary]
    documents = dataset.documents.drop({*images, *stored})
    lost_columns(
        dataset,
        {
            "queries": ["query_id", *(f.name for f in dataset.query_fields)],
            "documents": [*documents.columns, *images],
            "judgments": ["query_id", "doc_id", "score"],
        },
        notes,
    )
    with new_folder(out) as temporary:
        write_record(temporary, dataset, "trec")
        write_qrels(dataset.judgments, temporary / "qrels.txt")
        lines = topics.select(pl.concat_str(pl.all(), separator="\t"))
        lines.write_csv(temporary / "topics.tsv", include_header=False, quote_style="never")
        documents.write_ndjson(temporary / "documents.jsonl")
    return notes


def looks_like_trec(src: Path) -> str | None:
    """Return why a folder looks like a TREC collection, or None."""
    found = [_candidates(src, what) for what in _NAMES]
    if not src.is_dir() or not all(len(files) == 1 for files in found):
        return None
    try:
        split_lines(read_lines(found[0][0], head=100), ["query_id", "iteration", "doc_id", "score"])
    except DataError:
        return None
    return f"it holds {', '.join(path.name for (path,) in found)}"


def _candidates(folder: Path, what: str) -> list[Path]:
    if not folder.is_dir():
        return []
    files = [path for path in own_paths(folder.iterdir(), folder) if path.is_file()]
    return [path for path in files if path.name.lower().startswith(_NAMES[what])]


def _find(folder: Path, what: str) -> Path:
    found = _candidates(folder, what)
    if len(found) == 1:
        return found[0]
    listed = ", ".join(path.name for path in found or own_paths(folder.iterdir(), folder)[:20])
    names = " or ".join(f"{name}*" for name in _NAMES[what])
    raise DataError(
        f"expected one file {names}, found {listed or 'no file'}",
        where=str(folder),
        remedy=f"Name the file with --{what}.",
    )


def _topics(path: Path, notes: list[str]) -> Table:
    """Return the topics with query_id and query."""
    table = _with_header(path, _QUERY_IDS, "queries", notes)
    if table is None:
        lines = read_lines(path)
        if holds_tag(lines, "top"):
            table = read_tagged_topics(lines)
        elif holds_xml_topics(lines):
            table = read_xml_topics(lines)
        else:
            table = split_lines(lines, ["query_id", "query"], tabs=True)
    columns = table.frame.columns
    if "query" not in columns:
        name = find_column(columns, _TEXTS, where=str(path))
        if name is None:
            raise DataError(
                f"expected a text named {', '.join(_TEXTS)}, found {', '.join(columns)}",
                where=str(path),
                remedy="Name the query's text so.",
            )
        table = table.rename({name: "query"})
        notes.append(f"queries: {name!r} is the query")
    return table


def _documents(path: Path, notes: list[str]) -> Table:
    table = _with_header(path, _DOC_IDS, "documents", notes)
    if table is not None:
        return table
    lines = read_lines(path)
    if holds_tag(lines, "DOC"):
        return read_tagged_documents(lines)
    columns = {3: ["doc_id", "title", "text"], 4: ["doc_id", "url", "title", "text"]}
    count = lines.frame["text"][0].count("\t") + 1
    return split_lines(lines, columns.get(count, ["doc_id", "text"]), tabs=True)


def _text_columns(table: Table) -> list[str] | None:
    """Return title and text unless they are empty, and what else looks like a text."""
    frame = table.frame
    texts = {f.name for f in guess_fields(frame, "documents", "doc_id") if f.modality == "text"}
    texts |= {n for n in ("title", "text") if n in frame and not frame[n].is_null().all()}
    return [name for name in frame.columns if name in texts] or None


def _with_header(
    path: Path, ids: Sequence[str], what: Literal["queries", "documents"], notes: list[str]
) -> Table | None:
    """Return a table that names its columns, with its id column named, or None."""
    suffix = table_suffix(path)
    if suffix == ".tsv":
        first = read_lines(path, head=100).frame["text"][0].split("\t")[0]
        if normalised_name(first) not in map(normalised_name, ids):
            return None
    elif suffix not in _READ_BY_NAME:
        return None
    table = read_table(path, marks=True)
    found = find_column(table.columns, ids, where=str(path))
    if found is None:
        raise DataError(
            f"expected a column {' or '.join(ids)}, found {', '.join(table.frame.columns)}",
            where=str(path),
            remedy="Name the column with the id so.",
        )
    identity = IDS[what]
    table = with_standard_names(table, {found: identity}, what, notes)
    return table.with_columns(text_values(table.frame, identity, table.where))


def _positions(path: Path, depth: int | None, notes: list[str]) -> Table:
    """Return the ranking of a run as judgments: score = depth + 1 - rank."""
    table = run_table(path)
    ranks = table.frame["rank"]
    if ranks.min() == 0:
        notes.append("judgments: ranks begin with 0, so 1 is added to each")
        ranks = ranks + 1
    lowest = int(ranks.max())  # type: ignore[arg-type]
    depth = lowest if depth is None else depth
    keep = ranks <= depth
    if depth < 1 or not keep.any():
        raise DataError(f"expected a depth of 1 or more, found {depth}", where="--depth")
    notes.append(f"judgments: score = {depth} + 1 - rank, from the ranks of {path.name}")
    if left_out := len(ranks) - int(keep.sum()):
        notes.append(f"judgments: left out {left_out:,} below rank {depth}")
    frame = table.frame.select(
        "query_id",
        "doc_id",
        score=(depth + 1 - ranks).cast(pl.Float64),
        rank=ranks,
        run_score="score",
        run="tag",
    )
    return table.with_frame(frame).filter(keep)


LAYOUT = Layout(
    name="trec",
    description="a TREC collection: qrels or a run, topics, documents",
    signs="a folder with qrels*, topics* (queries*) and documents* (docs*, corpus*)",
    example="rankfield import trec robust robust-data --topics topics.301-450.txt",
    source="Folder with qrels, topics and documents.",
    help="""
    Make a data set from qrels or a run, topics and documents.

    Topics: TSV (id, text), <top> records, XML (<topic number="1">), or a table with a header.
    Documents: JSON Lines, TSV, <DOC> records, or a table with a header. Nothing is written unless
    all is well.

    Example: rankfield import trec robust robust-data --topics topics.301-450.txt
    """,
    read=read_trec,
    write=write_trec,
    looks_like=looks_like_trec,
    options=(
        Option("qrels", "The judgments, if not SRC/qrels*.", Path, metavar="FILE"),
        Option("topics", "The queries, if not SRC/topics*, queries*.", Path, metavar="FILE"),
        Option(
            "documents",
            "The documents, if not SRC/documents*, docs*, corpus*, collection*.",
            Path,
            metavar="FILE",
        ),
        Option(
            "run",
            "Take ranks of this run as judgments: score = depth + 1 - rank.",
            Path,
            metavar="FILE",
        ),
        Option("depth", "Leave out ranks below; default: the largest.", int, minimum=1),
        *DATASET_OPTIONS,
    ),
)
