"""WANDS (Wayfair's annotated products): query.csv, product.csv and label.csv, delimited by tabs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

import polars as pl

from rankfield.errors import DataError
from rankfield.files import new_folder
from rankfield.formats.assemble import DatasetOptions, Source, assemble
from rankfield.formats.exports import (
    joined_texts,
    lost_columns,
    query_texts,
    text_fields,
    write_record,
)
from rankfield.formats.foreign_columns import set_aside_in_frame, with_standard_names
from rankfield.formats.grades import parse_grades, require_grades
from rankfield.formats.layout import DATASET_OPTIONS, Layout, Option
from rankfield.io.lines import read_lines
from rankfield.io.table import Table
from rankfield.io.tables import read_table
from rankfield.schema import RankingDataset

__all__ = ["LAYOUT", "WANDS_GRADES", "looks_like_wands", "read_wands", "write_wands"]

WANDS_GRADES: Mapping[str, float] = {"Exact": 2.0, "Partial": 1.0, "Irrelevant": 0.0}
"""Label → score, unless others are given."""

_FILES = ("query.csv", "product.csv", "label.csv")
_PRODUCT = (
    *("product_id", "product_name", "product_class", "category hierarchy", "product_description"),
    *("product_features", "rating_count", "average_rating", "review_count"),
)
_FIELDS = ("product_name", "product_description")


def read_wands(
    src: str | Path,
    *,
    grades: Mapping[str, float] | None = None,
    **options: Unpack[DatasetOptions],
) -> tuple[RankingDataset, list[str]]:
    """Read a WANDS folder, or the repository with its folder `dataset`; write nothing.

    The fields are query, and product_name and product_description of the documents; every other
    column is kept, the label too. Files may be delimited by commas.

    Source: Chen et al., "WANDS: Dataset for Product Search Relevance Assessment", ECIR 2022.

    Args:
        src: the folder.
        grades: label → score; `WANDS_GRADES` if None.
        options: see `DatasetOptions`.

    Returns:
        The data set and, one per line, what was guessed or left out.

    Raises:
        DataError: a file or column is missing or broken, a label without a grade; with file and
            line; see `assemble`.
    """
    folder = _folder(Path(src))
    chosen = require_grades(WANDS_GRADES if grades is None else grades)
    queries, products, labels = (_read(folder / name) for name in _FILES)
    shown = ", ".join(f"{label} {score:g}" for label, score in chosen.items())
    notes = [f"judgments: {shown}; choose others with --grades"]
    queries = with_standard_names(
        queries, {"query_id": "query_id", "query": "query"}, "queries", notes
    )
    documents = with_standard_names(products, {"product_id": "doc_id"}, "documents", notes)
    fields = [name for name in _FIELDS if name in products.columns]
    source = Source(
        layout="wands",
        path=Path(src),
        root=folder,
        tables={
            "queries": queries,
            "documents": documents,
            "judgments": _scored(labels, chosen, notes),
        },
        fields={"queries": ["query"], "documents": fields or None},
        notes=notes,
    )
    return assemble(source, **options)


def write_wands(
    dataset: RankingDataset, out: str | Path, *, grades: Mapping[str, float] | None = None
) -> list[str]:
    """Write a data set as a new folder of WANDS' three files, whole or not at all.

    A document's text fields go to the columns of their names where WANDS has them; else the first
    is the product_name, and the others, joined, are the product_description.

    Returns:
        What the layout cannot hold, one per line.

    Raises:
        DataError: a score that is no label's grade, no text field, a query without text.
        OutputError: `out` exists or cannot be written.
    """
    notes: list[str] = []
    chosen = require_grades(WANDS_GRADES if grades is None else grades)
    texts = query_texts(dataset, "wands", notes)
    extra = [name for name in ("query_class",) if name in dataset.queries.columns]
    queries = dataset.queries.select("query_id", *extra).with_columns(query=texts)
    documents = _products(dataset, notes)
    judgments = _labelled(dataset, chosen)
    with new_folder(out) as temporary:
        write_record(temporary, dataset, "wands", grades=chosen)
        for name, frame in zip(
            _FILES, (queries.select("query_id", "query", *extra), documents, judgments), strict=True
        ):
            frame.write_csv(temporary / name, separator="\t")
    return notes


def looks_like_wands(src: Path) -> str | None:
    """Return why a folder looks like WANDS, or None."""
    for folder in (src, src / "dataset"):
        if all((folder / name).is_file() for name in _FILES):
            return f"{folder} holds {', '.join(_FILES)}"
    return None


def _folder(src: Path) -> Path:
    for folder in (src, src / "dataset"):
        if all((folder / name).is_file() for name in _FILES):
            return folder
    missing = [name for name in _FILES if not (src / name).is_file()]
    raise DataError(
        f"expected {', '.join(_FILES)}; there is no {', '.join(missing)}",
        where=str(src),
        remedy="Name the folder that holds the three files.",
    )


def _read(path: Path) -> Table:
    header = read_lines(path, head=100).frame["text"][0]
    return read_table(path, delimiter="\t" if "\t" in header else None)


def _scored(labels: Table, grades: Mapping[str, float], notes: list[str]) -> Table:
    names = {"query_id": "query_id", "product_id": "doc_id", "label": "label"}
    table = with_standard_names(labels, names, "judgments", notes, taken=["score"])
    scores = (
        table.frame["label"]
        .str.strip_chars()
        .replace_strict(list(grades), list(grades.values()), default=None, return_dtype=pl.Float64)
    )
    table.refuse(
        "label",
        scores.is_null(),
        f"expected one of {', '.join(grades)}, found {{}}",
        "Fix the label, or say what it is worth with --grades.",
    )
    return table.with_columns(score=scores)


def _products(dataset: RankingDataset, notes: list[str]) -> pl.DataFrame:
    fields = text_fields(dataset, "documents", "wands", notes)
    # plain columns of the layout's names are the layout's where a field is too, else foreign
    foreign = ["product_id", *([] if set(fields) & set(_PRODUCT) else _FIELDS)]
    frame = set_aside_in_frame(dataset.documents, foreign, "documents", notes)
    frame = frame.rename({"doc_id": "product_id"})
    own = [name for name in _PRODUCT if name in frame.columns]
    if "product_name" not in own:
        rest = [name for name in fields[1:] if name not in own]
        names = {"product_name": fields[:1], "product_description": rest}
        for column, parts in names.items():
            if parts and column not in own:
                notes.append(f"documents: {', '.join(parts)} became {column}")
                frame = frame.with_columns(joined_texts(frame, parts).alias(column))
        fields = [name for name in fields if name not in (*fields[:1], *rest)]
        own = [name for name in _PRODUCT if name in frame.columns]
    kept = {"documents": ["doc_id", *own, *(f.name for f in dataset.document_fields)]}
    lost_columns(dataset, kept, notes)
    if lost := [name for name in fields if name not in own]:
        notes.append(f"documents: left behind the texts of {', '.join(lost)}")
    return frame.select(own)


def _labelled(dataset: RankingDataset, grades: Mapping[str, float]) -> pl.DataFrame:
    names = {score: label for label, score in reversed(list(grades.items()))}
    scores = dataset.judgments["score"]
    labels = scores.replace_strict(
        list(names), list(names.values()), default=None, return_dtype=pl.String
    )
    if labels.null_count():
        row = int(labels.is_null().arg_max() or 0)
        shown = ", ".join(f"{label}={score:g}" for label, score in grades.items())
        raise DataError(
            f"the score {scores[row]:g} has no label; the labels are {shown}",
            where=f"{dataset.root or dataset.name}, judgments, row {row} (counted from 0)",
            remedy="Name a label for every score: --option grades=LABEL=SCORE,….",
        )
    return (
        dataset.judgments.select("query_id", "doc_id")
        .with_columns(label=labels)
        .select(pl.int_range(pl.len()).alias("id"), "query_id", product_id="doc_id", label="label")
    )


LAYOUT = Layout(
    name="wands",
    description="Wayfair's WANDS: query.csv, product.csv, label.csv",
    signs="a folder with query.csv, product.csv and label.csv, or dataset/ with them",
    example="rankfield import wands WANDS wands-data",
    source="Folder with query.csv, product.csv and label.csv, or its parent.",
    help="""
    Make a data set from WANDS' queries, products and labels.

    Fields: query; product_name and product_description. Every other column is kept. Nothing is
    written unless all is well.

    Example: rankfield import wands WANDS wands-data --grades Exact=1,Partial=0.5,Irrelevant=0
    """,
    read=read_wands,
    write=write_wands,
    looks_like=looks_like_wands,
    options=(
        Option(
            "grades",
            "What each label is worth.",
            default="Exact=2,Partial=1,Irrelevant=0",
            metavar="LABEL=SCORE,…",
            parse=parse_grades,
        ),
        *DATASET_OPTIONS,
    ),
)
