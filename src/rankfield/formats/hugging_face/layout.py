"""Folders of the library `datasets`: three tables, or one row for each judged pair.

Saved by `save_to_disk` (Arrow streams) or as on the Hub (Parquet, CSV, JSON Lines); read by
pyarrow, the library is not needed. https://huggingface.co/docs/datasets
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import polars as pl

from rankfield.errors import DataError
from rankfield.files import new_folder
from rankfield.foreign_files import own_paths
from rankfield.formats.checks import require_sound
from rankfield.formats.exports import write_record
from rankfield.formats.hugging_face.folders import TABLE_NAMES, find_parts, find_tables, read_parts
from rankfield.formats.hugging_face.pairs import PART, dataset_of_pairs
from rankfield.formats.hugging_face.writing import write_saved_dataset
from rankfield.formats.image_files import image_bytes
from rankfield.formats.layout import (
    BAD_IMAGES,
    DOCUMENT_FIELD,
    HELD_OUT,
    NAME,
    PUBLISHED_LICENCE,
    QUERY_FIELD,
    RELEVANT,
    SCORE_MAX,
    SCORE_MIN,
    Layout,
    Option,
)
from rankfield.formats.published_splits import PARTS, split_by_queries
from rankfield.formats.tables.reading import TableOptions, dataset_of_tables
from rankfield.io.table import Table
from rankfield.io.tables import read_files
from rankfield.schema import SPLITS, RankingDataset
from rankfield.schema.header import read_header

__all__ = ["LAYOUT", "looks_like_hugging_face", "read_hugging_face", "write_hugging_face"]

_ROWS = 1000


def looks_like_hugging_face(src: Path) -> str | None:
    """Return why `src` looks like a folder of the library `datasets`, or None."""
    for name in ("dataset_dict.json", "state.json"):
        if (src / name).is_file() or own_paths(src.glob(f"*/{name}"), src):
            return f"it holds {name}, which save_to_disk writes"
    if own_paths(src.glob("**/*-00000-of-*.parquet"), src):
        return "it holds Parquet files named as on the Hub"
    return None


def read_hugging_face(
    src: str | Path,
    *,
    query: str | None = None,
    held_out: float = 0.0,
    **options: Unpack[TableOptions],
) -> tuple[RankingDataset, list[str]]:
    """Read a folder of the library `datasets`; write nothing.

    Three tables: queries, documents (or corpus) and judgments (or qrels), each a split or a folder,
    as `hub_tables.find_tables` takes them; train, dev and test of the judgments divide the data set
    by its queries. With the `dataset.toml` that `write_hugging_face` puts beside them the data set
    is as it was; else columns, fields and scale are guessed as `tables.read_tables` does.

    Pairs: rows with a query's text, a document's columns and a score, as
    `hub_pairs.dataset_of_pairs` takes them. Splits named train, dev and test divide the data set by
    its queries, if no query is in two of them.

    Args:
        src: a file or folder, as `hub_folders.find_parts` takes them.
        query: the column with the query's text, of pairs; query, question, … by default.
        held_out: of pairs, the fraction of the train queries that become dev where there is a test
            split and no dev split, in [0, 1).
        options: as the arguments of `read_tables`, but for the names of files.

    Returns:
        The data set and, one per line, what was guessed.

    Raises:
        DataError: no files, one that is missing, broken or cut off, a missing column, a bad id or
            score; with file and row.
        ImageError: a bad image, if `bad_images` is "error".
    """
    folder = Path(src)
    found = find_tables(folder)
    root = folder if folder.is_dir() else folder.parent
    options.setdefault("name", folder.resolve().stem)
    parts = {} if len(found) == len(TABLE_NAMES) else find_parts(folder)
    if not parts:
        if (folder / "dataset.toml").is_file():
            return _saved(folder, {t: _records(p) for t, p in found.items()}), []
        dataset, notes = _of_tables(root, found, held_out, options)
    elif set(parts) <= set(SPLITS):
        raise DataError(
            f"the splits {', '.join(parts)} are those of Marqo-GS",
            where=str(folder),
            remedy="Import it as marqo-gs-parquet.",
        )
    else:
        rows = read_parts(parts, PART)
        dataset, notes = dataset_of_pairs(root, rows, query, options)
        of_parts = dataset.judgments.select("query_id", "doc_id", part=rows.frame[PART])
        dataset = split_by_queries(dataset, of_parts, held_out=held_out, notes=notes)
    made_by = replace(dataset.provenance, made_by="rankfield import huggingface")
    return replace(dataset, provenance=made_by), notes


def _saved(folder: Path, tables: Mapping[str, Table]) -> RankingDataset:
    """Return the data set whose header is in `folder`, of "queries", "documents", "judgments".

    Raises:
        DataError: the header is malformed, a column is missing or of another type, a bad id, pair
            or score.
    """
    frames = {name: table.frame for name, table in tables.items()}
    dataset = RankingDataset.of_tables(read_header(folder), frames, folder)
    require_sound(dataset, lambda table, row, column: tables[table].where(row, column))
    return dataset


def _of_tables(
    root: Path,
    found: Mapping[str, Mapping[str, list[Path]]],
    held_out: float,
    options: TableOptions,
) -> tuple[RankingDataset, list[str]]:
    """Return the data set of three tables, with the splits that its judgments were published in."""
    judged = read_parts(found["judgments"], PART)
    tables = {name: _records(found[name]) for name in ("queries", "documents")}
    tables["judgments"] = judged.with_frame(judged.frame.drop(PART))
    dataset, notes = dataset_of_tables(root, tables, **options)
    parts = judged.frame[PART]
    if set(parts) & set(PARTS):
        of_parts = dataset.judgments.select("query_id", "doc_id", part=parts)
        dataset = split_by_queries(dataset, of_parts, held_out=held_out, notes=notes)
        if not dataset.is_split and "source_split" not in dataset.judgments.columns:
            judgments = dataset.judgments.with_columns(parts.alias("source_split"))
            dataset = replace(dataset, judgments=judgments)
    return dataset, notes


def _records(parts: Mapping[str, list[Path]]) -> Table:
    """Return the records of a table; one that stands in several splits alike counts once."""
    table = read_files([path for paths in parts.values() for path in paths])
    if len(parts) < 2:
        return table
    return table.filter(pl.struct(pl.all()).is_first_distinct())


def write_hugging_face(dataset: RankingDataset, out: str | Path) -> list[str]:
    """Write `queries`, `documents` and `judgments` as `datasets` saves them, and `dataset.toml`.

    Each is read by `datasets.load_from_disk(out / "queries")` …; the library's images are those
    of the image fields, held as bytes.

    Args:
        dataset: any.
        out: the folder to make.

    Returns:
        What changes, one per line.

    Raises:
        ImageError: an image is missing.
        OutputError: `out` exists or cannot be written; nothing is left there.
    """
    notes = []
    with new_folder(out) as folder:
        for table in TABLE_NAMES:
            frame: pl.DataFrame = getattr(dataset, table)
            images = [f.name for f in dataset.fields(table) if f.modality == "image"]
            paths = [n for n in images if frame.schema[n] in (pl.String, pl.List(pl.String))]
            if paths:
                notes.append(f"{table}: the images of {', '.join(paths)} are held as bytes")
            batches = _batches(dataset, frame, paths)
            write_saved_dataset(folder / table, batches, dataset.fingerprint())
        dataset.write_header(folder)
        write_record(folder, dataset, "huggingface")
    return notes


def _batches(
    dataset: RankingDataset, frame: pl.DataFrame, paths: list[str]
) -> Iterator[pl.DataFrame]:
    for start in range(0, max(frame.height, 1), _ROWS):
        part = frame.slice(start, _ROWS)
        yield part.with_columns(_bytes(dataset, part[name]) for name in paths)


def _bytes(dataset: RankingDataset, column: pl.Series) -> pl.Series:
    if not isinstance(column.dtype, pl.List):
        return image_bytes(dataset, column)
    lists = [None if items is None else image_bytes(dataset, items).to_list() for items in column]
    return pl.Series(column.name, lists, dtype=pl.List(pl.Binary))


LAYOUT = Layout(
    name="huggingface",
    description="a folder of the library datasets: three tables, or pairs",
    signs="dataset_dict.json, state.json, or Parquet files named as on the Hub",
    example="rankfield import huggingface shop-hub shop --query question",
    source="Folder saved by datasets, or laid out as on the Hub.",
    help="""
    Make a data set from queries, documents and judgments, or from pairs, as datasets saves them.

    Nothing is written unless all is well.

    Example: rankfield import huggingface shop-hub shop --query question --score label
    """,
    read=read_hugging_face,
    write=write_hugging_face,
    looks_like=looks_like_hugging_face,
    options=(
        Option(
            "query",
            "Column with the query's text, of pairs; default: query, question, ….",
            metavar="COLUMN",
        ),
        Option("query-id", "Column with the query's id.", metavar="COLUMN"),
        Option("doc-id", "Column with the document's id.", metavar="COLUMN"),
        Option("score", "Column with the score; larger is better.", metavar="COLUMN"),
        QUERY_FIELD,
        DOCUMENT_FIELD,
        SCORE_MIN,
        SCORE_MAX,
        RELEVANT,
        HELD_OUT,
        BAD_IMAGES,
        NAME,
        PUBLISHED_LICENCE,
    ),
    general=True,
)
