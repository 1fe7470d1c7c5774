"""Plain tables: a folder with documents, queries and judgments as CSV, TSV, JSON Lines, Parquet."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Unpack

import polars as pl

from rankfield.engines import Engine
from rankfield.files import new_folder
from rankfield.formats.assemble import ScaleOptions, Source
from rankfield.formats.checks import require_in_scale, require_sound
from rankfield.formats.fields import IMAGE_TYPES, image_column
from rankfield.formats.tables.columns import name_columns, read_source
from rankfield.io.numbers import finite_numbers, number_types
from rankfield.io.table import Table
from rankfield.io.text import reading
from rankfield.io.text_values import require_texts, text_expression, unmarked
from rankfield.outputs import storage_errors
from rankfield.schema import DatasetFolder, Field, Provenance, RankingDataset, ScoreScale
from rankfield.schema.header import IDS, TABLES, Header, write_header
from rankfield.schema.storing import save_images, write_table
from rankfield.validate import fix, image_problems

__all__ = ["TableOptions", "dataset_of_tables", "import_folder", "import_tables", "read_tables"]


class TableOptions(ScaleOptions, total=False):
    """The keyword arguments of `read_tables`."""

    name: str | None
    query_id: str | Sequence[str]
    doc_id: str | Sequence[str]
    score: str | Sequence[str]
    query_fields: Sequence[Field | str] | None
    document_fields: Sequence[Field | str] | None
    score_scale: ScoreScale | None
    licence: str
    queries_file: str | Path | None
    documents_file: str | Path | None
    judgments_file: str | Path | None
    bad_images: Literal["ignore", "error", "drop"]


def read_tables(
    src: str | Path,
    *,
    name: str | None = None,
    query_id: str | Sequence[str] = (),
    doc_id: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    query_fields: Sequence[Field | str] | None = None,
    document_fields: Sequence[Field | str] | None = None,
    score_scale: ScoreScale | None = None,
    score_min: float | None = None,
    score_max: float | None = None,
    relevant: float | None = None,
    licence: str = "",
    queries_file: str | Path | None = None,
    documents_file: str | Path | None = None,
    judgments_file: str | Path | None = None,
    bad_images: Literal["ignore", "error", "drop"] = "ignore",
) -> tuple[RankingDataset, list[str]]:
    """Read a folder with one file each of documents, queries and judgments; write nothing.

    Without a file of queries, they are those whose texts the judgments hold. Ids stay verbatim.
    Columns that are neither ids, score nor fields are kept, as numbers where every value is one.
    The paths of images start from `src`.

    Args:
        src: the folder; documents.csv, queries.tsv, judgments.parquet, or ends as in `SUFFIXES`.
        name: of the data set; the folder's name by default.
        query_id, doc_id: the id columns, one for all tables or "TABLE.COLUMN" for one; by default
            query-id, qid, …, and in the queries' and documents' own tables id and _id. Judgments
            may name a record by another of its columns, and a query by its text
            (`judged_records.name_judged_records`).
        score: the score column; by default score, relevance, grade, label or rating.
        query_fields, document_fields: each a `Field` or text "NAME[:MODALITY[:WEIGHT]]"; guessed
            by `guesses.guess_fields` if None. The modality "images" is an image field whose texts
            hold several paths with "|" between them; lists need no such word.
        score_scale: guessed by `guesses.guess_scale` if None, except for the parts given as
            score_min, score_max and relevant.
        licence: for the provenance.
        queries_file, documents_file, judgments_file: files of other names, from the working folder.
        bad_images: "ignore" opens no image; "error" stops at those that are missing, unreadable
            or too large; "drop" clears those fields, and drops records that have no field left,
            with their judgments.

    Returns:
        The data set and, one per line, what was guessed.

    Raises:
        DataError: anything wrong with files, columns, ids or scores, with file, row and column
            (rows of text files are the lines an editor shows).
        ImageError: a bad image, with file, row and path, and how many more there are.
    """
    options = TableOptions(
        name=name,
        query_id=query_id,
        doc_id=doc_id,
        score=score,
        query_fields=query_fields,
        document_fields=document_fields,
        score_scale=score_scale,
        score_min=score_min,
        score_max=score_max,
        relevant=relevant,
        licence=licence,
        queries_file=queries_file,
        documents_file=documents_file,
        judgments_file=judgments_file,
        bad_images=bad_images,
    )
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary)
        folder, notes = _make(src, stage, stage, options)
        return folder.read(), notes


def import_tables(
    src: str | Path,
    out: str | Path,
    **options: Unpack[TableOptions],
) -> tuple[RankingDataset, list[str]]:
    """Read tables as `read_tables` does, check every image, and write a data set folder.

    Args:
        src: the folder with the tables.
        out: the folder to make.
        options: as the arguments of `read_tables`; `bad_images` is "error" unless given.

    Returns:
        The data set as loaded from `out`, and what was guessed and dropped, one per line.

    Raises:
        OutputError: `out` exists or cannot be written; nothing is left there.
        DataError, ImageError: as `read_tables`.
    """
    folder, notes = import_folder(src, out, **options)
    return RankingDataset.load(folder.root), notes


def import_folder(
    src: str | Path,
    out: str | Path,
    *,
    engine: Engine | None = None,
    **options: Unpack[TableOptions],
) -> tuple[DatasetFolder, list[str]]:
    """Do what `import_tables` does, in bounded memory: no table is ever held whole.

    Args:
        src: the folder with the tables.
        out: the folder to make.
        engine: where images are checked; threads of this machine if None.
        options: as the arguments of `read_tables`; `bad_images` is "error" unless given.

    Returns:
        The data set in `out`, opened but not loaded, and what was guessed and dropped.

    Raises:
        OutputError: `out` exists or cannot be written; nothing is left there.
        DataError, ImageError: as `read_tables`.
    """
    options.setdefault("bad_images", "error")
    with new_folder(out) as temporary:
        stage = temporary / ".stage"
        stage.mkdir()
        dataset, notes = _make(src, stage, Path(out), options, engine)
        for table in ("queries", "documents", "judgments"):
            path = temporary / f"{table}.parquet"
            if dataset.is_changed(table):
                write_table(dataset.lazy(table), path)
            else:
                dataset.files[table].rename(path)
        write_header(temporary, dataset)
        save_images(DatasetFolder.load(temporary, images=src), temporary)
        shutil.rmtree(stage)
    return DatasetFolder.load(out), notes


def dataset_of_tables(
    folder: Path, tables: Mapping[str, Table], **options: Unpack[TableOptions]
) -> tuple[RankingDataset, list[str]]:
    """Make a data set of "queries", "documents" and "judgments" already read, as `read_tables`.

    Args:
        folder: where paths of images start.
        tables: the three tables; errors name their rows by `Table.where`.
        options: as the arguments of `read_tables`; those that name files are ignored.

    Returns:
        The data set and, one per line, what was guessed.

    Raises:
        DataError, ImageError: as `read_tables`.
    """
    source = Source("tables", folder, folder, dict(tables))
    name_columns(source, _columns(options))
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary)
        return _of_source(source, stage, stage, options).read(), source.notes


def _make(
    src: str | Path,
    stage: Path,
    out: Path,
    options: TableOptions,
    engine: Engine | None = None,
) -> tuple[DatasetFolder, list[str]]:
    """Read the files, write the three tables into the folder `stage`, return the data set.

    `out` is how a message names the place if its disk is full.
    """
    named = {
        "documents": options.get("documents_file"),
        "queries": options.get("queries_file"),
        "judgments": options.get("judgments_file"),
    }
    source = read_source(Path(src), stage, named, _columns(options))
    return _of_source(source, stage, out, options, engine), source.notes


def _columns(options: TableOptions) -> dict[str, Sequence[str]]:
    given = {
        "query_id": options.get("query_id", ()),
        "doc_id": options.get("doc_id", ()),
        "score": options.get("score", ()),
    }
    return {name: [one] if isinstance(one, str) else one for name, one in given.items()}


def _of_source(
    source: Source,
    stage: Path,
    out: Path,
    options: TableOptions,
    engine: Engine | None = None,
) -> DatasetFolder:
    """Write the three tables into the folder `stage` and return the data set made of them."""
    scores = finite_numbers(source.tables["judgments"], "score")
    scale = options.get("score_scale") or source.choose_scale(scores, options)
    fields = {
        "queries": _choose_fields(source, "queries", options.get("query_fields")),
        "documents": _choose_fields(source, "documents", options.get("document_fields")),
        "judgments": (),
    }
    header = Header(
        name=options.get("name") or source.path.resolve().name,
        query_fields=fields["queries"],
        document_fields=fields["documents"],
        score_scale=scale,
        provenance=Provenance(
            source=", ".join(dict.fromkeys(source.tables[t].path.name for t in TABLES)),
            licence=options.get("licence", ""),
            made_by=f"rankfield import {source.layout}",
        ),
    )
    files = {table: stage / f"{table}.parquet" for table in TABLES}
    for table, path in files.items():
        # a broken page of a Parquet file may show here for the first time; a full disk may too
        with reading(source.tables[table].path), storage_errors(out):
            write_table(_typed(source, table, fields[table]), path)
    dataset = DatasetFolder(header, source.root, files)
    require_sound(dataset, source.where)
    require_in_scale(
        dataset.frame("judgments", ["score"])["score"],
        scale,
        lambda row: source.where("judgments", row, "score"),
    )
    if (bad_images := options.get("bad_images", "ignore")) != "ignore":
        dataset = _check_images(dataset, source, drop=bad_images == "drop", engine=engine)
    return dataset


def _choose_fields(
    source: Source, table: str, chosen: Sequence[Field | str] | None
) -> tuple[Field, ...]:
    fields = source.choose_fields(table, chosen)
    used = {IDS[table], *(f.name for f in fields)}
    if not chosen and (rest := [c for c in source.tables[table].columns if c not in used]):
        source.notes.append(f"{table}: kept as plain columns, not fields: {', '.join(rest)}")
    return fields


def _typed(source: Source, table: str, fields: Sequence[Field]) -> pl.LazyFrame:
    """Ids and fields as text, images as `image_column`, columns of plain numbers as numbers.

    What columns become is found in one pass over the rows, lists of images by reading each whole;
    the rows then pass in a stream.
    """
    read = source.tables[table]
    images = [f.name for f in fields if f.modality == "image"]
    lists = [
        image_column(read, name, multi_valued=(table, name) in source.multi_valued)
        for name in images
        if read.schema[name] == pl.String
        or (read.schema[name] not in IMAGE_TYPES and not isinstance(read.schema[name], pl.Array))
    ]
    texts = [*TABLES[table], *(f.name for f in fields if f.modality == "text")]
    require_texts(read.lazy(), {n: read.schema[n] for n in texts}, read.where)
    rows = read.lazy().with_columns(_values(read, table, texts, images))
    if not lists:
        return rows
    own = rows.drop(column.name for column in lists)
    return pl.concat([own, pl.DataFrame(lists).lazy()], how="horizontal").select(read.columns)


def _values(
    read: Table, table: str, texts: Sequence[str], images: Sequence[str]
) -> Iterator[pl.Expr]:
    """Yield the columns of which the values change."""
    known = {*texts, *images, *(["score"] if table == "judgments" else [])}
    others = [n for n in read.schema if n not in known]
    numbers = number_types(read.lazy(), [n for n in others if read.schema[n] == pl.String])
    for name, dtype in read.schema.items():
        column = pl.col(name)
        if name in images:
            if isinstance(dtype, pl.Array):
                yield column.arr.to_list()
        elif name in texts:
            yield text_expression(name, dtype)
        elif (table, name) == ("judgments", "score"):
            number = column.str.strip_chars() if dtype == pl.String else column
            yield number.cast(pl.Float64, strict=False)
        elif name in numbers:
            yield column.cast(numbers[name])
        elif dtype == pl.String:
            yield unmarked(name)


def _check_images(
    dataset: DatasetFolder, source: Source, *, drop: bool, engine: Engine | None
) -> DatasetFolder:
    bad = [p for p in image_problems(dataset, engine=engine) if p.severity == "error"]
    if not drop:
        source.require_images(
            bad, "Fix the images, or clear those fields with `--bad-images drop`."
        )
    if bad:
        dataset, dropped = fix(dataset, bad)
        source.notes += dropped
    return dataset
