"""Marqo-GS as its archive: CSV triplets, a corpus and ground truth as JSON, images in a folder.

A folder such as `marqo_gs_wfash_1m` holds `corpus_1.json` and `corpus_2.json` (product → fields)
and, for a, b in 0, 1, `query_a_product_id_b.csv` with `…_gt_dev.json` and `…_gt_test.json` (query →
{product: score}). 0 is seen in training, 1 is not; corpus_1 belongs to b = 0, corpus_2 to b = 1.
Layout and evaluation: https://github.com/marqo-ai/GCL (Zhu et al., arXiv 2404.08535).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.column_names import free_name
from rankfield.errors import DataError
from rankfield.foreign_files import own_paths
from rankfield.formats.checks import (
    BadImages,
    check_images,
    require_columns,
    require_known,
)
from rankfield.formats.foreign_columns import set_aside, set_aside_in_frame
from rankfield.formats.layout import (
    BAD_IMAGES,
    DOCUMENT_FIELD,
    NAME,
    PUBLISHED_LICENCE,
    Layout,
    Option,
)
from rankfield.formats.marqo_gs.archive_export import write_marqo_gs
from rankfield.formats.marqo_gs.pairs import (
    DEV,
    LICENCE,
    PAIR_NAMES,
    SCORE,
    SIDES,
    MarqoPairs,
    assemble,
    chosen_score,
    document_fields_of,
)
from rankfield.io.json_objects import object_entries
from rankfield.io.numbers import with_numbers
from rankfield.io.table import Table, stack
from rankfield.io.tables import file_columns, read_files
from rankfield.io.text_values import marked, text_values, without_marks
from rankfield.paths import is_file, stays_inside
from rankfield.schema import Field, Provenance, RankingDataset

__all__ = ["LAYOUT", "looks_like_marqo_gs", "read_marqo_gs", "write_marqo_gs"]

_FIELDS = {
    "image_local": Field("image_local", "image", 0.9),
    "title": Field("title", "text", 0.1),
}
_CHUNK = 100_000
_KEY = "\0doc_id"
_MARK = "_{!@#~}_"
"""What the published evaluation puts behind a query's text in the keys of the ground truth."""


def looks_like_marqo_gs(src: Path) -> str | None:
    """Return why `src` looks like the archive's layout, or None."""
    if (src / "corpus_1.json").is_file() and any(src.glob("query_?_product_id_?.csv")):
        return "it holds corpus_1.json and query_…_product_id_….csv"
    return None


def read_marqo_gs(
    src: str | Path,
    *,
    name: str | None = None,
    score: str | None = None,
    document_fields: Sequence[Field | str] | None = None,
    images: str | Path | None = None,
    dev: float = 0.5,
    licence: str = LICENCE,
    bad_images: BadImages = "ignore",
) -> tuple[RankingDataset, list[str]]:
    """Read the archive's layout with its published splits; write nothing.

    Queries and documents get `seen`, judgments `split` by the file they stand in. The ground truth
    says which queries are "dev" and "test"; the others are in neither. The query's id is `query_id`
    where each stands for one text, else the text; the document's id is `product_id`. Ten million
    pairs are read in bounded memory beside the result.

    Args:
        src: the folder with corpus_1.json; a split whose file is missing is left out, with a note.
        name: of the data set; the folder's name by default.
        score: the score's column; by default the first of score_linear, score_reciprocal, score.
            "score_linear" has the scale 1 to 100, relevant from 1, "score_reciprocal" 0 to 1,
            relevant from 0.01; of another the scale is guessed. Columns not chosen are kept.
        document_fields: each a `Field` or text "NAME[:MODALITY[:WEIGHT]]"; image_local 0.9 and
            title 0.1 by default, as in the paper.
        images: the folder with the images: then only the file names of the paths count. By
            default the paths start from `src`.
        dev: fraction of the queries in "dev" if there is no ground truth at all.
        licence: for the provenance.
        bad_images: "ignore" opens no image; "error" stops at a bad one; "drop" clears it.

    Returns:
        The data set and, one per line, what was guessed or left out.

    Raises:
        DataError: a file that is missing or broken, a missing column, an empty text or id, a score
            that is not finite or off its scale, a product that is not in its corpus, ground truth
            of other queries, images that are not there; with file and row.
        ImageError: a bad image, if `bad_images` is "error".
    """
    folder = _require_folder(Path(src))
    notes: list[str] = []
    found = {split: path for split in SIDES if (path := _csv(folder, split)).is_file()}
    if missing := [_csv(folder, split).name for split in SIDES if split not in found]:
        notes.append(f"splits: without {', '.join(missing)}, there is nothing for these")
    corpora = {seen: _read_corpus(folder, seen, notes) for seen in _sides_of(found)}
    score = score or chosen_score(file_columns(found["in_domain"]))
    tables, keys = [], []
    for split, path in found.items():
        tables.append(_read_pairs(path, split, corpora[SIDES[split][1]], score, notes))
        keys += _read_truth(path, split, tables[-1].frame)
    documents = pl.concat(corpora.values(), how="diagonal_relaxed")
    fields = document_fields_of(
        documents, folder / "corpus_1.json", document_fields, _FIELDS, notes
    )
    documents = _plain(documents, fields, folder)
    documents, root = _with_images(documents, fields, folder, images)
    pairs = MarqoPairs(stack(tables), documents, score, pl.concat(keys) if keys else None, notes)
    dataset = assemble(
        pairs,
        name=name or folder.resolve().name,
        document_fields=fields,
        dev=dev,
        provenance=Provenance(
            source=", ".join(path.name for path in found.values()),
            licence=licence,
            made_by="rankfield import marqo-gs",
        ),
        root=root,
    )
    dataset, cleared = check_images(dataset, bad_images)
    return dataset, notes + cleared


def _require_folder(folder: Path) -> Path:
    if not folder.is_dir():
        problem = (
            "expected a folder, found a file" if folder.exists() else "there is no such folder"
        )
        raise DataError(problem, where=str(folder), remedy="Name the folder with corpus_1.json.")
    if not _csv(folder, "in_domain").is_file():
        inner = [p.parent.name for p in own_paths(folder.glob("*/corpus_1.json"), folder)]
        raise DataError(
            f"expected {_csv(folder, 'in_domain').name}, found none",
            where=str(folder),
            remedy=f"Name one of its folders: {', '.join(inner)}."
            if inner
            else "Name the folder that holds it and corpus_1.json.",
        )
    return folder


def _csv(folder: Path, split: str) -> Path:
    query, document = (int(not seen) for seen in SIDES[split])
    return folder / f"query_{query}_product_id_{document}.csv"


def _sides_of(found: dict[str, Path]) -> list[bool]:
    return sorted({SIDES[split][1] for split in found}, reverse=True)


def _read_corpus(folder: Path, seen: bool, notes: list[str]) -> pl.DataFrame:
    """Return the documents of a side: doc_id, the corpus's fields, seen."""
    path = folder / f"corpus_{1 if seen else 2}.json"
    entries = object_entries(path)
    frames = []
    while chunk := list(islice(entries, _CHUNK)):
        for key, value in chunk:
            if not isinstance(value, dict):
                raise DataError(
                    f"expected an object with the product's fields, found {value!r:.60}",
                    where=f"{path}, key {key!r}",
                    remedy="Write the corpus as {product_id: {field: value}}.",
                )
        names = dict.fromkeys(name for _, value in chunk for name in value)
        columns = {
            _KEY if name == "doc_id" else name: [value.get(name) for _, value in chunk]
            for name in names
        }
        frames.append(_frame([key for key, _ in chunk], columns))
    if not frames:
        raise DataError(
            "expected at least one product, found none",
            where=str(path),
            remedy="Fetch the file again.",
        )
    documents = pl.concat(frames, how="diagonal_relaxed")
    twice = documents["doc_id"].is_first_distinct()
    if not twice.all():
        row = int((~twice).arg_max() or 0)
        raise DataError(
            f"the product {documents['doc_id'][row]!r} occurs more than once",
            where=f"{path}, product {row} (counted from 0)",
            remedy="Keep one of them.",
        )
    documents = set_aside_in_frame(documents, ["seen"], "documents", notes)
    if _KEY in documents.columns:  # a key of the products, beside the one that they are under
        free = free_name("doc_id", documents.columns)
        notes.append(f"documents: column 'doc_id' is kept as {free!r}")
        documents = documents.rename({_KEY: free})
    return documents.with_columns(seen=pl.lit(seen))


def _frame(ids: list[str], columns: dict[str, list[Any]]) -> pl.DataFrame:
    typed = [_column(name, values) for name, values in columns.items()]
    return pl.DataFrame([pl.Series("doc_id", ids, dtype=pl.String), *typed])


def _column(name: str, values: list[Any]) -> pl.Series:
    """Return numbers as such, anything else as text, lists and objects marked; "" is nothing."""
    values = [None if isinstance(v, float) and math.isnan(v) else v for v in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool}:
        return pl.Series(name, values, dtype=pl.Boolean if kinds else pl.String)
    if kinds <= {int, float} and all(-(2**63) <= v < 2**63 for v in values if isinstance(v, int)):
        return pl.Series(
            name, values, dtype=pl.Int64 if kinds == {int} else pl.Float64, strict=False
        )
    return pl.Series(name, [_text(value) or None for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return marked(value) if isinstance(value, dict | list) else json.dumps(value)


def _plain(documents: pl.DataFrame, fields: tuple[Field, ...], folder: Path) -> pl.DataFrame:
    """Return the documents with texts in the text fields, and nested values as JSON text."""

    def where(row: int, column: str) -> str:
        side = "corpus_1.json" if documents["seen"][row] else "corpus_2.json"
        return f"{folder / side}, product {documents['doc_id'][row]!r}, column {column!r}"

    texts = [f.name for f in fields if f.modality == "text"]
    named = documents.with_columns(text_values(documents, name, where) for name in texts)
    return without_marks(named)


def _read_pairs(
    path: Path, split: str, corpus: pl.DataFrame, score: str, notes: list[str]
) -> Table:
    """Return a file's pairs and sides, without the columns that the corpus has too."""
    columns = file_columns(path)
    require_columns(path, columns, ("query", "product_id", score))
    needed = {"query", "product_id", "query_id", score}
    described = {*corpus.columns} - {"doc_id", "seen"}
    wanted = [c for c in columns if c in needed or c not in described]
    table = read_files([path], wanted)
    side = "corpus_1.json" if SIDES[split][1] else "corpus_2.json"
    require_known(table, "product_id", corpus["doc_id"], f"among the products of {side}")
    query_seen, document_seen = SIDES[split]
    frame = with_numbers(table.frame, ("query", "product_id", "query_id"))
    table = set_aside(table.with_frame(frame), PAIR_NAMES - {score}, "judgments", notes)
    return table.with_columns(
        # a query stands in a hundred rows: its text is held once
        pl.col("query").cast(pl.Categorical).cast(pl.String),
        query_seen=pl.lit(query_seen),
        document_seen=pl.lit(document_seen),
    )


def _read_truth(path: Path, split: str, pairs: pl.DataFrame) -> list[pl.DataFrame]:
    """Return split, subset and key of the queries that a split's ground truth names."""
    frames = []
    for subset in ("dev", "test"):
        truth = path.with_name(f"{path.stem}_gt_{subset}.json")
        if not truth.is_file():
            continue
        keys = []
        for key, grades in object_entries(truth):
            if not isinstance(grades, dict):
                raise DataError(
                    f"expected an object with the products' scores, found {grades!r:.60}",
                    where=f"{truth}, key {key!r}",
                    remedy="Write the ground truth as {query: {product_id: score}}.",
                )
            keys.append(key.removesuffix(_MARK))
        named = pl.Series("key", keys, dtype=pl.String)
        known = [pairs[c].cast(pl.String).unique() for c in ("query", "query_id") if c in pairs]
        if keys and not any(named.is_in(values.implode()).any() for values in known):
            raise DataError(
                f"none of its {len(keys):,} queries, such as {keys[0]!r}, is in {path.name}",
                where=str(truth),
                remedy="Fetch the ground truth that belongs to the file, or remove this one.",
            )
        frames.append(
            pl.DataFrame({"key": named}).with_columns(split=pl.lit(split), subset=pl.lit(subset))
        )
    return frames


def _with_images(
    documents: pl.DataFrame,
    fields: tuple[Field, ...],
    folder: Path,
    images: str | Path | None,
) -> tuple[pl.DataFrame, Path]:
    """Return the documents with paths of images that start from a folder, and that folder."""
    place = None if images is None else Path(images).resolve()
    root = folder if place is None else place.parent
    for name in (f.name for f in fields if f.modality == "image"):
        path = pl.col(name).str.strip_prefix("./")
        if place is not None:
            file = pl.col(name).str.replace(r"^.*[/\\]", "")
            path = pl.concat_str(pl.lit(f"{place.name}/"), file).alias(name)
        documents = documents.with_columns(path)
        first = documents[name].drop_nulls().head(1)
        if len(first) and not (stays_inside(first[0]) and is_file(root / first[0])):
            raise DataError(
                f"the image {first[0]!r} is not there",
                where=f"{root}, field {name!r}",
                remedy="Name the folder with the images with --images, or do without them:"
                " --document-field title:text.",
            )
    return documents, root


LAYOUT = Layout(
    name="marqo-gs",
    description="Marqo-GS's archive: triplets in CSV, corpora and ground truth in JSON",
    signs="a folder with corpus_1.json and query_…_product_id_….csv",
    example="rankfield import marqo-gs marqo-gs-10m gs --images images",
    source="Folder with corpus_1.json and query_…_product_id_….csv.",
    help="""
    Make a data set from Marqo-GS's archive, with its published splits.

    Nothing is written unless all is well.

    Example: rankfield import marqo-gs marqo-gs-10m gs --score score_reciprocal --images images
    """,
    read=read_marqo_gs,
    write=write_marqo_gs,
    looks_like=looks_like_marqo_gs,
    options=(
        SCORE,
        DOCUMENT_FIELD,
        Option(
            "images",
            "Folder with the images, if not where the paths lead.",
            Path,
            metavar="FOLDER",
        ),
        DEV,
        BAD_IMAGES,
        NAME,
        PUBLISHED_LICENCE,
    ),
)
