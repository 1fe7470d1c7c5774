"""BEIR folders: corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import polars as pl

from rankfield.column_names import quoted_names
from rankfield.errors import DataError
from rankfield.files import new_folder
from rankfield.foreign_files import own_paths
from rankfield.formats.assemble import DatasetOptions, Source, assemble
from rankfield.formats.exports import (
    joined_texts,
    lost_columns,
    query_texts,
    text_fields,
    write_record,
)
from rankfield.formats.foreign_columns import with_standard_names
from rankfield.formats.layout import DATASET_OPTIONS, Layout, Option
from rankfield.io.lines import read_lines, split_lines
from rankfield.io.numbers import finite_numbers, number_texts
from rankfield.io.table import Table, stack
from rankfield.io.tables import read_text_records
from rankfield.io.text import table_suffix
from rankfield.paths import safe_name
from rankfield.schema import RankingDataset

__all__ = ["LAYOUT", "looks_like_beir", "read_beir", "write_beir"]

_CORPUS, _QUERIES, _QRELS = "corpus.jsonl", "queries.jsonl", "qrels"
_KEYS = ("_id", "title", "text")
_HEADER = ["query-id", "corpus-id", "score"]
_DEV = ("dev", "valid", "validation", "val")
_SUBSET = "source_subset"


def read_beir(
    src: str | Path, *, subsets: Sequence[str] | None = None, **options: Unpack[DatasetOptions]
) -> tuple[RankingDataset, list[str]]:
    """Read a BEIR folder; write nothing.

    The corpus' `_id`, `title` and `text` become doc_id and the document fields title and text (a
    field empty throughout is left out), the queries' `_id` and `text` become query_id and the field
    query. Other keys are kept as columns. The judgments' column `source_subset` is the name of
    their qrels file; the queries' column `subset` is "dev" or "test" where all judgments of the
    query are from qrels/dev.tsv (valid, validation) or qrels/test.tsv, so that
    `rankfield evaluate` measures on them.

    Args:
        src: the folder.
        subsets: the names of the qrels files to read, as "test"; None for all.
        options: see `DatasetOptions`.

    Returns:
        The data set and, one per line, what was guessed or left out.

    Raises:
        DataError: a file is missing or broken, with file and line; see `assemble`.
    """
    folder = Path(src)
    corpus, topics = (_file(folder, name) for name in (_CORPUS, _QUERIES))
    notes: list[str] = []
    queries = with_standard_names(
        read_text_records(topics, _KEYS), {"_id": "query_id", "text": "query"}, "queries", notes
    )
    documents = with_standard_names(
        read_text_records(corpus, _KEYS), {"_id": "doc_id"}, "documents", notes
    )
    fields = _with_text(documents, notes)
    files = _qrels_files(folder, subsets)
    judgments = stack([_qrels(path, name) for name, path in files.items()])
    source = Source(
        layout="beir",
        path=folder,
        root=folder,
        tables={
            "queries": queries.with_frame(_with_subset(queries.frame, judgments.frame, notes)),
            "documents": documents,
            "judgments": judgments,
        },
        fields={"queries": ["query"], "documents": fields},
        notes=notes,
    )
    return assemble(source, **options)


def write_beir(dataset: RankingDataset, out: str | Path) -> list[str]:
    """Write a data set as a new BEIR folder, whole or not at all.

    The document field `title`, if there are others, becomes the title; the other text fields are
    joined with line breaks to the text. Judgments go to the qrels file of their `source_subset`;
    in a split data set the in-domain ones to train.tsv and others to that of their query's
    `subset`; without splits to that of their query's `subset`, or to train.tsv where it has none;
    without subsets to test.tsv. Scores keep their fractions.

    Returns:
        What the layout cannot hold, one per line.

    Raises:
        DataError: no text field, a query without text, an id with a tab or line break.
        OutputError: `out` exists or cannot be written.
    """
    notes: list[str] = []
    queries = dataset.queries.select(_id="query_id", text=query_texts(dataset, "beir", notes))
    fields = text_fields(dataset, "documents", "beir", notes)
    title = [name for name in fields if name == "title" and len(fields) > 1]
    body = [name for name in fields if name not in title]
    if len(body) > 1:
        notes.append(f"documents: the fields {', '.join(body)} are joined to one text")
    documents = dataset.documents.select(
        pl.col("doc_id").alias("_id"),
        joined_texts(dataset.documents, title).fill_null("").alias("title")
        if title
        else pl.lit("").alias("title"),
        joined_texts(dataset.documents, body).fill_null("").alias("text"),
    )
    images = [f.name for f in dataset.document_fields if f.modality == "image"]
    own = [f.name for f in dataset.query_fields]
    lost_columns(
        dataset,
        {
            "queries": ["query_id", "subset", "seen", *own],
            "documents": ["doc_id", "seen", *fields, *images],
            "judgments": ["query_id", "doc_id", "score", "split", _SUBSET],
        },
        notes,
    )
    judgments = _named_subsets(dataset)
    if (judgments["score"] != judgments["score"].floor()).any():
        notes.append("judgments: scores keep their fractions; beir's own loader takes whole ones")
    with new_folder(out) as temporary:
        documents.write_ndjson(temporary / _CORPUS)
        queries.write_ndjson(temporary / _QUERIES)
        write_record(temporary, dataset, "beir")
        (temporary / _QRELS).mkdir()
        for (subset,), part in judgments.group_by("subset", maintain_order=True):
            _write_qrels(part, temporary / _QRELS / f"{safe_name(subset)}.tsv")
    return notes


def looks_like_beir(src: Path) -> str | None:
    """Return why a folder looks like BEIR's, or None."""
    try:
        corpus, queries = (_file(src, name).name for name in (_CORPUS, _QUERIES))
    except DataError:
        return None
    return f"it holds {corpus}, {queries} and {_QRELS}/" if (src / _QRELS).is_dir() else None


def _file(folder: Path, name: str) -> Path:
    """Return the path of a file, as it is or compressed with gzip."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        f"expected a file {name}",
        where=str(folder),
        remedy="Name the folder that holds it.",
    )


def _with_text(documents: Table, notes: list[str]) -> list[str]:
    columns = documents.frame.columns
    fields: list[str] = [name for name in ("title", "text") if name in columns]
    if not fields:
        raise DataError(
            f"expected the keys 'title' and 'text', found {quoted_names(columns)}",
            where=str(documents.path),
            remedy='Every line is {"_id": …, "title": …, "text": …}.',
        )
    for name in [n for n in fields if documents.frame[n].null_count() == documents.frame.height]:
        if len(fields) > 1:
            fields.remove(name)
            notes.append(f"documents: every {name} is empty, it is no field")
    return fields


def _qrels_files(folder: Path, subsets: Sequence[str] | None) -> dict[str, Path]:
    """Return name → file of the judgments to read: train, dev, test, then others."""
    found: dict[str, Path] = {}
    for path in own_paths((folder / _QRELS).glob("*.tsv*"), folder):
        if table_suffix(path) == ".tsv":
            found.setdefault(path.name.removesuffix(".gz").removesuffix(".tsv"), path)
    for name in subsets or ():
        if name not in found:
            raise DataError(
                f"expected a file {name}.tsv, found {', '.join(found) or 'none'}",
                where=str(folder / _QRELS),
                remedy="Name one of those with --subset.",
            )
    if not found:
        raise DataError(
            "expected train.tsv, dev.tsv or test.tsv, found none",
            where=str(folder / _QRELS),
            remedy="Put the judgments there: query-id, corpus-id, score, delimited by tabs.",
        )
    order = dict.fromkeys(["train", *_DEV, "test", *found])
    return {n: found[n] for n in order if n in found and (subsets is None or n in subsets)}


def _qrels(path: Path, name: str) -> Table:
    lines = read_lines(path)
    header = lines.frame["text"][0].strip().split("\t")
    if header[-1].strip() == "score" or header == _HEADER:
        if header != _HEADER:
            raise DataError(
                f"expected the header {', '.join(_HEADER)}, found {', '.join(header)}",
                where=lines.where(0),
                remedy="Name and order the columns so, delimited by tabs.",
            )
        lines = lines.filter(pl.int_range(pl.len()) > 0)
        if lines.frame.is_empty():
            raise DataError(
                "expected judgments below the header, found none",
                where=str(path),
                remedy="Fetch the file again, or remove it.",
            )
    table = split_lines(lines, ["query_id", "doc_id", "score"], tabs=True)
    scores = finite_numbers(table, "score", unit="line")
    return table.with_columns(scores, pl.lit(name).alias(_SUBSET))


def _with_subset(queries: pl.DataFrame, judgments: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Return the queries with the column `subset`, if they divide into dev, test and others."""
    counts = judgments[_SUBSET].value_counts(sort=True).rows()
    shown = ", ".join(f"{name} {count:,}" for name, count in counts)
    notes.append(f"judgments: {shown} (column {_SUBSET})")
    of_query = judgments.select("query_id", _SUBSET).unique()
    if of_query["query_id"].is_duplicated().any():
        notes.append("queries: some are judged in several subsets, so there is no column 'subset'")
        return queries
    source = pl.col(_SUBSET)
    subset = pl.when(source.is_in(_DEV)).then(pl.lit("dev")).otherwise(source)
    of_query = of_query.with_columns(subset=subset).filter(pl.col("subset").is_in(["dev", "test"]))
    if of_query.is_empty():
        return queries
    notes.append("queries: column 'subset' says which are for dev and test; evaluation goes by it")
    return queries.join(
        of_query.select("query_id", "subset"), on="query_id", how="left", maintain_order="left"
    )


def _named_subsets(dataset: RankingDataset) -> pl.DataFrame:
    """Return the judgments with the name of their qrels file in the column `subset`."""
    judgments = dataset.judgments
    if _SUBSET in judgments.columns:
        return judgments.with_columns(subset=pl.col(_SUBSET).fill_null("test"))
    subsets = dataset.queries.select(
        "query_id", subset="subset" if dataset.has_subsets else pl.lit(None, pl.String)
    )
    named = judgments.join(subsets, on="query_id", how="left", maintain_order="left")
    if dataset.is_split:
        train = pl.col("split") == "in_domain"
    else:
        train = pl.col("subset").is_null() & dataset.has_subsets
    return named.with_columns(
        subset=pl.when(train).then(pl.lit("train")).otherwise(pl.col("subset").fill_null("test"))
    )


def _write_qrels(judgments: pl.DataFrame, path: Path) -> None:
    for name in ("query_id", "doc_id"):
        bad = judgments[name].str.contains(r"[\t\r\n]")
        if bad.any():
            raise DataError(
                f"the id {judgments[name][int(bad.arg_max() or 0)]!r} holds a tab or line break",
                where=f"judgments, column {name!r}",
                remedy="Give the record another id.",
            )
    texts = judgments.select("query_id", "doc_id", number_texts("score"))
    lines = texts.select(pl.concat_str(pl.all(), separator="\t").alias("line"))
    with path.open("wb") as file:
        file.write(("\t".join(_HEADER) + "\n").encode())
        lines.write_csv(file, include_header=False, quote_style="never")


LAYOUT = Layout(
    name="beir",
    description="a BEIR folder: corpus.jsonl, queries.jsonl, qrels/*.tsv",
    signs="a folder with corpus.jsonl, queries.jsonl and qrels/",
    example="rankfield import beir scifact scifact-data --subset test",
    source="Folder with corpus.jsonl, queries.jsonl and qrels/.",
    help="""
    Make a data set from a BEIR folder; its dev and test queries stay such.

    `rankfield evaluate` measures on the queries of qrels/test.tsv, as BEIR does, until
    `rankfield split` divides again. Nothing is written unless all is well.

    Example: rankfield import beir scifact scifact-data --subset test
    """,
    read=read_beir,
    write=write_beir,
    looks_like=looks_like_beir,
    options=(
        Option(
            "subset",
            "A file of qrels/ to read, as test; repeat. Default: all.",
            metavar="NAME",
            repeated=True,
            argument="subsets",
        ),
        *DATASET_OPTIONS,
    ),
)
