"""Plain tables: a folder with documents, queries and judgments as CSV, TSV, JSON Lines, Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import polars as pl

from rankfield.errors import DataError, ImageError, OutputError
from rankfield.formats.checks import with_numbers
from rankfield.formats.field_options import parse_fields
from rankfield.formats.guesses import guess_fields, guess_scale
from rankfield.formats.picture_lists import picture_column, with_lists
from rankfield.formats.table_columns import name_columns, quoted
from rankfield.formats.text_tables import SUFFIXES, TextTable, read_table
from rankfield.schema import Field, Provenance, RankingDataset, ScoreScale
from rankfield.validate import first_error, fix, image_problems

__all__ = ["TableOptions", "dataset_of_tables", "import_tables", "read_tables"]


class TableOptions(TypedDict, total=False):
    """The keyword arguments of `read_tables`."""

    name: str | None
    query_id: str
    doc_id: str
    score: str
    query_fields: Sequence[Field | str] | None
    document_fields: Sequence[Field | str] | None
    score_scale: ScoreScale | None
    score_min: float | None
    score_max: float | None
    relevant: float | None
    licence: str
    queries_file: str | Path | None
    documents_file: str | Path | None
    judgments_file: str | Path | None
    bad_images: Literal["ignore", "error", "drop"]


@dataclass
class _Source:
    """The three tables as read, the folder that picture paths start from, and what was guessed.

    `divided` names the (table, column) of several paths in a text, with "|" between them.
    """

    folder: Path
    tables: dict[str, TextTable] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    divided: set[tuple[str, str]] = field(default_factory=set)


def read_tables(
    src: str | Path,
    *,
    name: str | None = None,
    query_id: str = "query_id",
    doc_id: str = "doc_id",
    score: str = "score",
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

    Ids stay to the letter as in the file. Columns that are neither ids, score nor fields are
    kept, as numbers where every value is one. The paths of pictures start from `src`.

    Args:
        src: the folder; documents.csv, queries.tsv, judgments.parquet, or ends as in `SUFFIXES`.
        name: of the data set; the folder's name by default.
        query_id, doc_id: the id columns; without them query-id, qid, …, and in the queries' and
            documents' own tables id and _id, are tried.
        score: the score column; without it relevance, grade, label and rating are tried.
        query_fields, document_fields: each a `Field` or text "NAME[:MODALITY[:WEIGHT]]"; guessed
            by `guesses.guess_fields` if None. The modality "images" is an image field whose texts
            hold several paths with "|" between them; lists need no such word.
        score_scale: guessed by `guesses.guess_scale` if None, except for the parts given as
            score_min, score_max and relevant.
        licence: for the provenance.
        queries_file, documents_file, judgments_file: files of other names, from the working folder.
        bad_images: "ignore" opens no picture; "error" stops at those that are missing, unreadable
            or too large; "drop" clears those fields, and drops records that have no field left,
            with their judgments.

    Returns:
        The data set and, a line each, what was guessed.

    Raises:
        DataError: anything wrong with files, columns, ids or scores, with file, row and column
            (rows of text files are the lines an editor shows).
        ImageError: a bad picture, with file, row and path, and how many more there are.
    """
    tables = _read_source(
        Path(src),
        {"documents": documents_file, "queries": queries_file, "judgments": judgments_file},
    )
    return dataset_of_tables(
        Path(src),
        tables,
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
        bad_images=bad_images,
    )


def dataset_of_tables(
    folder: Path, tables: Mapping[str, TextTable], **options: Unpack[TableOptions]
) -> tuple[RankingDataset, list[str]]:
    """Make a data set of "queries", "documents" and "judgments" already read, as `read_tables`.

    Args:
        folder: where paths of pictures start.
        tables: the three tables; errors name their rows by `TextTable.where`.
        options: as the arguments of `read_tables`; those that name files are ignored.

    Returns:
        The data set and, a line each, what was guessed.

    Raises:
        DataError, ImageError: as `read_tables`.
    """
    source = _Source(folder, dict(tables))
    name_columns(
        source.tables,
        source.notes,
        options.get("query_id", "query_id"),
        options.get("doc_id", "doc_id"),
        options.get("score", "score"),
    )
    judgments = _with_scores(source)
    fields = {
        table: _choose_fields(source, table, identity, chosen)
        for table, identity, chosen in (
            ("queries", "query_id", options.get("query_fields")),
            ("documents", "doc_id", options.get("document_fields")),
        )
    }
    scale = _scale(source, judgments["score"], options)
    dataset = RankingDataset(
        name=options.get("name") or source.folder.resolve().name,
        query_fields=fields["queries"],
        document_fields=fields["documents"],
        score_scale=scale,
        queries=_typed(_with_pictures(source, "queries", fields), "query_id", fields["queries"]),
        documents=_typed(
            _with_pictures(source, "documents", fields), "doc_id", fields["documents"]
        ),
        judgments=_typed(judgments, "query_id", (Field("doc_id", "text"),)),
        provenance=Provenance(
            source=", ".join(t.path.name for t in source.tables.values()),
            licence=options.get("licence", ""),
            made_by="rankfield import tables",
        ),
        root=source.folder,
    )
    _check(dataset, source)
    if (bad_images := options.get("bad_images", "ignore")) != "ignore":
        dataset = _check_images(dataset, source, drop=bad_images == "drop")
    return dataset, source.notes


def import_tables(
    src: str | Path,
    out: str | Path,
    **options: Unpack[TableOptions],
) -> tuple[RankingDataset, list[str]]:
    """Read tables as `read_tables` does, check every picture, and write a data set folder.

    Args:
        src: the folder with the tables.
        out: the folder to make.
        options: as the arguments of `read_tables`; `bad_images` is "error" unless given.

    Returns:
        The data set as loaded from `out`, and what was guessed and dropped, a line each.

    Raises:
        OutputError: `out` exists or cannot be written; nothing is left there.
        DataError, ImageError: as `read_tables`.
    """
    if Path(out).exists() or Path(out).is_symlink():
        raise OutputError(
            "exists already", where=str(out), remedy="Name another output, or remove it first."
        )
    options.setdefault("bad_images", "error")
    dataset, notes = read_tables(src, **options)
    return dataset.save(out), notes


def _read_source(folder: Path, named: dict[str, str | Path | None]) -> dict[str, TextTable]:
    if not folder.is_dir():
        raise DataError(
            "expected a folder, found a file" if folder.exists() else "there is no such folder",
            where=str(folder),
            remedy="Name the folder that holds documents, queries and judgments.",
        )
    return {
        table: read_table(Path(path) if path else _find(folder, table))
        for table, path in named.items()
    }


def _find(folder: Path, table: str) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    found = [p for p in files if p.stem.lower() == table and p.suffix.lower() in SUFFIXES]
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found or files[:20]) or "no file"
    raise DataError(
        f"expected one of {table}{{{','.join(SUFFIXES)}}}, found {names}",
        where=str(folder),
        remedy=f"Name the file with --{table}.",
    )


def _with_scores(source: _Source) -> pl.DataFrame:
    """Return the judgments with scores as finite floats."""
    table = source.tables["judgments"]
    raw = table.frame["score"]
    text = raw.dtype == pl.String
    scores = (raw.str.strip_chars() if text else raw).cast(pl.Float64, strict=False)
    bad = scores.is_null() | ~scores.is_finite().fill_null(False)
    if bad.any():
        row = int(bad.arg_max() or 0)
        found = "nothing" if raw[row] is None else repr(raw[row])
        more = f" (and {bad.sum() - 1:,} more rows)" if bad.sum() > 1 else ""
        raise DataError(
            f"expected a finite number, found {found}{more}", where=table.where(row, "score")
        )
    return table.frame.with_columns(score=scores)


def _scale(source: _Source, scores: pl.Series, options: TableOptions) -> ScoreScale:
    if (given := options.get("score_scale")) is not None:
        return given
    scale = guess_scale(
        scores,
        minimum=options.get("score_min"),
        maximum=options.get("score_max"),
        relevant=options.get("relevant"),
    )
    source.notes.append(
        f"score scale: {scale.minimum:g} to {scale.maximum:g}, relevant from"
        f" {scale.relevant:g}; set it with --score-min, --score-max, --relevant"
    )
    return scale


def _choose_fields(
    source: _Source, table: str, identity: str, chosen: Sequence[Field | str] | None
) -> tuple[Field, ...]:
    read, path = source.tables[table], source.tables[table].path
    if chosen:
        parsed, divided = parse_fields(read, chosen)
        source.divided |= {(table, name) for name in divided}
        return parsed
    frame = with_lists(read)
    fields = guess_fields(frame, table, identity)
    option = "--document-field" if table == "documents" else "--query-field"
    if not fields:
        raise DataError(
            f"no column looks like a text or a picture; found {quoted(frame.columns)}",
            where=str(path),
            remedy=f"Name the columns with {option} NAME:text or NAME:image.",
        )
    shown = ", ".join(f"{f.name} ({f.modality}, weight {f.weight:.3g})" for f in fields)
    source.notes.append(f"{table}: fields {shown}; choose others with {option}")
    used = {identity, *(f.name for f in fields)}
    if rest := [column for column in frame.columns if column not in used]:
        source.notes.append(f"{table}: kept as plain columns, not fields: {', '.join(rest)}")
    return fields


def _with_pictures(
    source: _Source, table: str, fields: Mapping[str, Sequence[Field]]
) -> pl.DataFrame:
    """Return a table with its image fields as paths, bytes, or lists of them."""
    read = source.tables[table]
    columns = [
        picture_column(read, f.name, divided=(table, f.name) in source.divided)
        for f in fields[table]
        if f.modality == "image"
    ]
    return read.frame.with_columns(columns)


def _typed(frame: pl.DataFrame, identity: str, fields: Sequence[Field]) -> pl.DataFrame:
    """Ids and fields as text (bytes stay), every other column of plain numbers as numbers."""
    texts = {identity, *(f.name for f in fields)}
    text = [c.name for c in frame if c.name in texts and _is_plain(c)]
    return with_numbers(frame.with_columns(pl.col(text).cast(pl.String)), list(texts))


def _is_plain(column: pl.Series) -> bool:
    return column.dtype != pl.Binary and not column.dtype.is_nested()


def _check(dataset: RankingDataset, source: _Source) -> None:
    """Raise for the first bad id, pair or score, with its place in the file it came from."""
    if found := first_error(dataset):
        problem, more = found
        raise DataError(
            problem.message + (f" (and {more:,} more rows)" if more else ""),
            where=source.tables[problem.table].where(problem.row or 0, problem.field),
        )
    scale, scores = dataset.score_scale, dataset.judgments["score"]
    outside = (scores < scale.minimum) | (scores > scale.maximum)
    if outside.any():
        row = int(outside.arg_max() or 0)
        raise DataError(
            f"{scores[row]} is outside the stated scale, {scale.minimum:g} to {scale.maximum:g}",
            where=source.tables["judgments"].where(row, "score"),
            remedy="Mend the score, or --score-min and --score-max.",
        )


def _check_images(dataset: RankingDataset, source: _Source, *, drop: bool) -> RankingDataset:
    bad = [p for p in image_problems(dataset) if p.severity == "error"]
    if bad and not drop:
        more = f" (and {len(bad) - 1:,} more bad pictures)" if len(bad) > 1 else ""
        item = "" if bad[0].item is None else f"item {bad[0].item} (counted from 0), "
        raise ImageError(
            item + bad[0].message + more,
            where=source.tables[bad[0].table].where(bad[0].row or 0, bad[0].field),
            remedy="Mend the pictures, or clear those fields with `--bad-images drop`.",
        )
    if bad:
        dataset, dropped = fix(dataset, bad)
        source.notes += dropped
    return dataset
