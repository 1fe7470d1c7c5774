"""JSON Lines as columns of text: exactly, and fast in large files whose values are texts."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import polars as pl

from rankfield.errors import DataError
from rankfield.io.columns import MAX_CELLS, require_names, require_width
from rankfield.io.text import LONGEST, open_bytes, open_text, reading, short_lines, with_progress
from rankfield.io.text_values import MARK
from rankfield.parsing import MAX_DEPTH, require_shallow
from rankfield.unicode_text import refuse_halves

__all__ = ["json_batches", "json_lines", "text_frame_of_json"]

_ROWS = 100_000
_CHUNK_SIZE = 1 << 26
_BLOCK = 32 << 20
_NESTED = (dict, list)


def json_batches(path: Path, *, marks: bool = False) -> Iterator[pl.DataFrame]:
    """Yield the records of a file, one object per line, as text; null where there is nothing.

    Numbers keep their spelling. Lists and objects become JSON text, with `text_values.MARK` before
    it if `marks`. A batch has the names of its own records.

    Raises:
        DataError: the file is broken; says at which row.
    """
    mark = MARK if marks else ""
    known: list[str] = []
    with reading(path), open_text(path) as (file, raw):
        for chunk in with_progress(path, raw, _chunks(path, file)):
            # records without names are rows too where there is a column
            names = dict.fromkeys(name for record in chunk for name in record) or known
            known = list(names)[:1]
            yield pl.DataFrame(
                [
                    pl.Series(name, [_as_text(r.get(name), mark) for r in chunk], dtype=pl.String)
                    for name in names
                ]
            )


def json_lines(path: Path) -> Iterator[int]:
    """Yield the line of each record, counted from 1."""
    with open_text(path) as (file, _):
        yield from (line for line, text in enumerate(file, 1) if text.strip())


def text_frame_of_json(path: Path, keys: Collection[str]) -> pl.DataFrame | None:
    """Return what `json_batches` yields, ten times as fast, where every value is a text.

    Args:
        path: the file.
        keys: the only names that may have texts; empty objects may have any name.

    Returns:
        The records, or None where polars might read something else than what is there.
    """
    frames = []
    with reading(path), open_bytes(path) as (file, raw):
        for block in with_progress(path, raw, _blocks(path, file)):
            frame = _text_block(block, keys)
            if frame is None:
                return None
            frames.append(frame)
    return pl.concat(frames, how="diagonal") if frames else None


def _chunks(path: Path, file: TextIO) -> Iterator[list[dict[str, Any]]]:
    """Yield records, so many at a time that their table stays small."""
    chunk: list[dict[str, Any]] = []
    names: set[str] = set()
    total = 0
    for record, size in _objects(path, file):
        require_width(path, len(record))
        require_names(path, record.keys() - names)
        names.update(record)
        chunk.append(record)
        total += size
        full = len(chunk) >= _ROWS or len(chunk) * len(names) >= MAX_CELLS
        if names and (full or total >= _CHUNK_SIZE):
            yield chunk
            chunk, names, total = [], set(), 0
    if chunk:
        yield chunk


def _objects(path: Path, file: TextIO) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each record and its length."""
    # numbers stay as they are spelt, so that ids are kept verbatim
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_constant)
    for line, text in enumerate(short_lines(path, file), 1):
        if not text.strip():
            continue
        where = f"{path}, row {line}"
        try:
            record = decoder.decode(text.strip())
            if text.count("[") + text.count("{") > MAX_DEPTH:
                require_shallow(record)
            if isinstance(record, dict) and any(isinstance(v, _NESTED) for v in record.values()):
                # within these, numbers are numbers
                record |= {k: v for k, v in json.loads(text).items() if isinstance(v, _NESTED)}
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"not valid JSON ({error})",
                where=where,
                remedy="Fix the line, or fetch the file again if it is cut off.",
            ) from None
        refuse_halves(text, record, where=where, kind=DataError)
        if not isinstance(record, dict):
            raise DataError(
                f"expected a JSON object, found {text.strip()[:40]!r}",
                where=where,
                remedy="Write one object per line, {…}.",
            )
        yield record, len(text)


def _constant(name: str) -> str | None:
    """Return nothing for NaN, which is how others write that there is no value."""
    return None if name == "NaN" else name


def _as_text(value: Any, mark: str) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return (mark if isinstance(value, _NESTED) else "") + json.dumps(value, ensure_ascii=False)


def _blocks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Yield whole lines, some megabytes at a time, without a byte order mark."""
    rest = file.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    while data := file.read(_BLOCK):
        head, line_end, tail = data.rpartition(b"\n")
        if line_end:
            yield rest + head + line_end
            rest = tail
        else:
            rest += data
            if len(rest) > LONGEST:
                raise DataError(
                    f"a line has more than {LONGEST:,} bytes",
                    where=str(path),
                    remedy="Is it the right file?",
                )
    if rest.strip():
        yield rest


def _text_block(block: bytes, keys: Collection[str]) -> pl.DataFrame | None:
    """Return the rows of a block, or None if their values are no plain texts."""
    # a number or an object under a key would get another spelling (n begins null)
    no_text = rf'"(?:{"|".join(map(re.escape, keys))})"\s*:\s*[^"\sn]'
    try:
        lines = pl.read_lines(io.BytesIO(block), name="text")
        lines = lines.filter(pl.col("text").str.contains(r"\S"))
        if lines["text"].str.contains(no_text).any():
            return None
        frame = pl.read_ndjson(io.BytesIO(block), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return None
    texts = [name for name, kind in frame.schema.items() if kind in (pl.String, pl.Null)]
    objects = [name for name, kind in frame.schema.items() if kind == pl.Struct([])]
    exact = {*texts, *objects} == set(frame.columns) and set(texts) <= set(keys)
    if not exact or not texts or frame.height != lines.height:
        return None
    rows = frame.select(pl.col(texts).cast(pl.String).replace("", None))
    # polars turns half of a surrogate pair into a null character
    if rows.select(pl.any_horizontal(pl.all().str.contains("\0", literal=True).any())).item():
        return None
    return rows
