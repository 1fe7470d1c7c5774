"""Folders of the library `datasets`: three tables, or one row for each judged pair.

Saved by `save_to_disk` (Arrow streams) or as on the Hub (Parquet, CSV, JSON Lines); read by
pyarrow, the library is not needed. https://huggingface.co/docs/datasets
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import polars as pl

from rankfield.errors import DataError
from rankfield.files import new_folder
from rankfield.formats.checks import require_values
from rankfield.formats.export_record import write_record
from rankfield.formats.hub_folders import find_parts
from rankfield.formats.hub_writing import write_saved_dataset
from rankfield.formats.picture_files import picture_bytes
from rankfield.formats.placed_tables import PlacedTable, read_files, stack
from rankfield.formats.published_splits import split_by_queries
from rankfield.formats.saved_header import read_saved_header
from rankfield.formats.source_tables import quoted
from rankfield.formats.table_source import DOC_IDS, SCORES
from rankfield.formats.tables import TableOptions, dataset_of_tables
from rankfield.schema import SPLITS, RankingDataset

__all__ = ["looks_like_hugging_face", "read_hugging_face", "write_hugging_face"]

_NAMES = {
    "queries": ("queries",),
    "documents": ("documents", "corpus"),
    "judgments": ("judgments", "qrels"),
}
_QUERIES = ("query", "query_text", "question", "search_term", "anchor")
_PART = "\0part"
_ROWS = 1000


def looks_like_hugging_face(src: Path) -> str | None:
    """Return why `src` looks like a folder of the library `datasets`, or None."""
    for name in ("dataset_dict.json", "state.json"):
        if (src / name).is_file() or any(src.glob(f"*/{name}")):
            return f"it holds {name}, which save_to_disk writes"
    if any(src.glob("**/*-00000-of-*.parquet")):
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

    Three tables: parts named queries, documents (or corpus) and judgments (or qrels), each a split
    or a folder. With the `dataset.toml` that `write_hugging_face` puts beside them the data set is
    as it was; else columns, fields and scale are guessed as `tables.read_tables` does.

    Pairs: rows with a query's text, a document's columns and a score. A column whose value is the
    same wherever its document occurs belongs to the document, others to the judgment. Without an
    id, equal texts are one query, and equal documents one document. Splits named train, dev and
    test divide the data set by its queries, if no query is in two of them.

    Args:
        src: a file or folder, as `hub_folders.find_parts` takes them.
        query: the column with the query's text, of pairs; query, question, … by default.
        held_out: of pairs, the fraction of the train queries that become dev where there is a test
            split and no dev split, in [0, 1).
        options: as the arguments of `read_tables`, but for the names of files.

    Returns:
        The data set and, a line each, what was guessed.

    Raises:
        DataError: no files, one that is missing, broken or cut off, a missing column, a bad id or
            score; with file and row.
        ImageError: a bad picture, if `bad_images` is "error".
    """
    folder = Path(src)
    parts = find_parts(folder)
    found = {
        table: next((parts[name] for name in names if name in parts), None)
        for table, names in _NAMES.items()
    }
    root = folder if folder.is_dir() else folder.parent
    options.setdefault("name", folder.resolve().stem)
    tables = {name: read_files(paths) for name, paths in found.items() if paths is not None}
    if len(tables) == len(_NAMES):
        if (folder / "dataset.toml").is_file():
            return read_saved_header(folder, tables), []
        dataset, notes = dataset_of_tables(root, tables, **options)
    elif set(parts) <= set(SPLITS):
        raise DataError(
            f"the splits {', '.join(parts)} are those of Marqo-GS",
            where=str(folder),
            remedy="Import it as marqo-gs-parquet.",
        )
    else:
        rows = stack([_with_part(paths, part) for part, paths in parts.items()])
        dataset, notes = _of_pairs(root, rows, query, options)
        of_parts = dataset.judgments.select("query_id", "doc_id", part=rows.frame[_PART])
        dataset = split_by_queries(dataset, of_parts, held_out=held_out, notes=notes)
    made_by = replace(dataset.provenance, made_by="rankfield import huggingface")
    return replace(dataset, provenance=made_by), notes


def _with_part(paths: list[Path], part: str) -> PlacedTable:
    table = read_files(paths)
    return table.with_frame(table.frame.with_columns(pl.lit(part).alias(_PART)))


def _of_pairs(
    root: Path, rows: PlacedTable, query: str | None, options: TableOptions
) -> tuple[RankingDataset, list[str]]:
    path = rows.path
    columns = [c for c in rows.frame.columns if c != _PART]
    text = _one_of(path, columns, [query] if query else _QUERIES, "query")
    given = options.get("score")
    score = _one_of(path, columns, [given] if given else SCORES, "score")
    require_values(rows, text)
    notes = [f"pairs: column {text!r} is the query, {score!r} the score"]
    frame = rows.frame.drop(_PART)
    query_id = options.get("query_id", "query_id")
    if query_id not in columns:
        frame = frame.with_columns(_numbered(frame, [text], "q", query_id))
    doc_id = options.get("doc_id") or next((c for c in DOC_IDS if c in columns), "doc_id")
    others = [c for c in columns if c not in (text, score, query_id, doc_id)]
    if doc_id in columns:
        others = [c for c in others if _is_constant(frame, doc_id, c)]
    else:
        frame = frame.with_columns(_numbered(frame, others, "d", doc_id))
        notes.append(f"documents: no id; rows alike in {', '.join(others)} are one document")
    table = rows.with_frame(frame)
    further = [c for c in columns if c not in (text, score, query_id, doc_id, *others)]
    tables = {
        "queries": _distinct(table, query_id, [text]),
        "documents": _distinct(table, doc_id, others),
        "judgments": table.with_frame(frame.select(query_id, doc_id, score, *further)),
    }
    options = options | TableOptions(query_id=query_id, doc_id=doc_id, score=score)
    dataset, guessed = dataset_of_tables(root, tables, **options)
    return dataset, notes + guessed


def _one_of(path: Path, columns: Sequence[str], candidates: Sequence[str], option: str) -> str:
    found = next((name for name in candidates if name in columns), None)
    if found is None:
        raise DataError(
            f"expected one of the columns {', '.join(candidates)}, found {quoted(columns)}",
            where=str(path),
            remedy=f"Name it with --{option}; pairs without a score are imported as"
            " sentence-transformers.",
        )
    return found


def _numbered(frame: pl.DataFrame, columns: list[str], sign: str, name: str) -> pl.Series:
    """Return an id for each row, the same for rows alike in the columns, in order."""
    distinct = frame.select(columns).unique(maintain_order=True).with_row_index("\0id")
    ids = frame.select(columns).join(
        distinct, on=columns, how="left", nulls_equal=True, maintain_order="left"
    )
    return ids.select(pl.format(sign + "{}", "\0id").alias(name)).to_series()


def _is_constant(frame: pl.DataFrame, identity: str, column: str) -> bool:
    """Return whether a column has one value for each id; pictures are taken to have."""
    if frame.schema[column].is_nested() or frame.schema[column] == pl.Binary:
        return True
    return frame.select(identity, column).unique().height == frame[identity].n_unique()


def _distinct(rows: PlacedTable, identity: str, columns: list[str]) -> PlacedTable:
    table = rows.filter(pl.col(identity).is_first_distinct())
    return table.with_frame(table.frame.select(identity, *columns))


def write_hugging_face(dataset: RankingDataset, out: str | Path) -> list[str]:
    """Write `queries`, `documents` and `judgments` as `datasets` saves them, and `dataset.toml`.

    Each is read by `datasets.load_from_disk(out / "queries")` …; the library's pictures are those
    of the image fields, held as bytes.

    Args:
        dataset: any.
        out: the folder to make.

    Returns:
        What changes, a line each.

    Raises:
        ImageError: a picture is missing.
        OutputError: `out` exists or cannot be written; nothing is left there.
    """
    notes = []
    with new_folder(out) as folder:
        for table in _NAMES:
            frame: pl.DataFrame = getattr(dataset, table)
            images = [f.name for f in dataset.fields(table) if f.modality == "image"]
            paths = [n for n in images if frame.schema[n] in (pl.String, pl.List(pl.String))]
            if paths:
                notes.append(f"{table}: the pictures of {', '.join(paths)} are held as bytes")
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
        return picture_bytes(dataset, column)
    lists = [None if items is None else picture_bytes(dataset, items).to_list() for items in column]
    return pl.Series(column.name, lists, dtype=pl.List(pl.Binary))
