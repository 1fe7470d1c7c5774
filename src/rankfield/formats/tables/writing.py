"""A data set as plain tables: what `read_tables` reads."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import polars as pl

from rankfield.errors import DataError
from rankfield.files import new_folder
from rankfield.foreign_files import own_paths
from rankfield.formats.exports import write_record
from rankfield.io.tables import is_table
from rankfield.schema import RankingDataset

__all__ = ["TableEnding", "looks_like_tables", "write_tables"]

TableEnding = Literal["csv", "tsv", "jsonl", "parquet"]

_TABLES = ("documents", "queries", "judgments")
_DIVIDER = "|"


def write_tables(
    dataset: RankingDataset, out: str | Path, *, ending: TableEnding = "csv"
) -> list[str]:
    """Write documents, queries and judgments as tables, and the images, into a new folder.

    Lists of images are one value with "|" between the paths in CSV and TSV, arrays in JSON Lines,
    lists in Parquet.

    Args:
        dataset: what to write.
        out: the folder to make.
        ending: of the files' names.

    Returns:
        What the tables do not say, and the command that imports them with the same fields and
        scale, one per line.

    Raises:
        DataError: images as bytes in another layout than Parquet, a path with "|" in a list of
            CSV or TSV, a nested column in these.
        OutputError: `out` exists or cannot be written.
    """
    notes: list[str] = []
    frames = {name: _flat(dataset, name, ending) for name in _TABLES}
    with new_folder(out) as temporary:
        write_record(temporary, dataset, "tables", ending=ending)
        for name, frame in frames.items():
            _write(frame, temporary / f"{name}.{ending}", ending)
        dataset.copy_images(temporary)
    if reserved := [c for c in ("seen", "subset", "split") if any(c in f for f in frames.values())]:
        notes.append(f"columns {', '.join(reserved)}: an import keeps them under another name")
    if ending != "parquet":
        notes.append("an import guesses the types of columns that are no fields")
    notes.append(f"to read it again: {_command(dataset, out, ending)}")
    return notes


def looks_like_tables(src: Path) -> str | None:
    """Return why a folder looks like plain tables, or None."""
    if not src.is_dir():
        return None
    files = own_paths(src.iterdir(), src)
    found = [[path.name for path in files if is_table(path, table)] for table in _TABLES]
    return f"it holds {', '.join(names[0] for names in found)}" if all(found) else None


def _flat(dataset: RankingDataset, table: str, ending: TableEnding) -> pl.DataFrame:
    """Return a table whose values the layout can hold."""
    frame: pl.DataFrame = getattr(dataset, table)
    if ending == "parquet":
        return frame
    columns = []
    for column in frame:
        where = f"{dataset.root or dataset.name}, {table}, column {column.name!r}"
        if pl.Binary in (column.dtype, getattr(column.dtype, "inner", None)):
            raise DataError(
                f"images as bytes cannot stand in a .{ending} file",
                where=where,
                remedy="Export with ending=parquet.",
            )
        if not column.dtype.is_nested() or ending == "jsonl":
            columns.append(column)
        elif column.dtype == pl.List(pl.String):
            columns.append(_joined(column, where))
        else:
            raise DataError(
                f"a value of type {column.dtype} cannot stand in a .{ending} file",
                where=where,
                remedy="Export with ending=jsonl or ending=parquet.",
            )
    return pl.DataFrame(columns)


def _joined(column: pl.Series, where: str) -> pl.Series:
    bad = column.list.eval(pl.element().str.contains(_DIVIDER, literal=True)).list.any()
    if bad.fill_null(False).any():
        raise DataError(
            f"a value of the list in row {int(bad.fill_null(False).arg_max() or 0)} (counted from"
            f" 0) holds {_DIVIDER!r}, which divides the list",
            where=where,
            remedy="Export with ending=jsonl or ending=parquet.",
        )
    return column.list.drop_nulls().list.join(_DIVIDER)


def _write(frame: pl.DataFrame, path: Path, ending: TableEnding) -> None:
    if ending == "parquet":
        frame.write_parquet(path)
    elif ending == "jsonl":
        frame.write_ndjson(path)
    else:
        # a lone carriage return would end the row for most readers: text is always quoted
        separator = "," if ending == "csv" else "\t"
        frame.write_csv(path, separator=separator, quote_style="non_numeric")


def _command(dataset: RankingDataset, out: str | Path, ending: TableEnding) -> str:
    words = ["rankfield", "import", "tables", str(out), f"{out}-data"]
    for table, option in (("queries", "--query-field"), ("documents", "--document-field")):
        frame: pl.DataFrame = getattr(dataset, table)
        for f in dataset.fields(table):
            several = isinstance(frame.schema[f.name], pl.List) and ending in ("csv", "tsv")
            words += [option, f"{f.name}:{'images' if several else f.modality}:{f.weight!r}"]
    scale = dataset.score_scale
    if scale.gain_floor is None:  # a stated minimum below 0 says that gains count from it
        words += ["--score-min", f"{scale.minimum!r}"]
    words += ["--score-max", f"{scale.maximum!r}"]
    words += ["--relevant", f"{scale.relevant!r}", "--name", dataset.name]
    if dataset.provenance.licence:
        words += ["--licence", dataset.provenance.licence]
    return shlex.join(words)
