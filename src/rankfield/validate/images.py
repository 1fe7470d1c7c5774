"""The images of a data set, each read and decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import polars as pl

from rankfield.engines import Engine, LocalEngine
from rankfield.errors import DataError, ImageError
from rankfield.field_values import places
from rankfield.images import MAX_PIXELS, image_notes
from rankfield.progress import progress
from rankfield.schema import Tables, image_source
from rankfield.schema.image_source import OUTSIDE
from rankfield.unicode_text import is_blank
from rankfield.validate.problems import Problem, Severity

__all__ = ["image_problems", "image_slices"]

_AT_A_TIME = 64
_ADDRESS = re.compile(r"(?i)[a-z][a-z0-9+.-]*://|//|www\.")
_Hit = tuple[int, int | None, str, str, Severity]


def image_problems(
    dataset: Tables, max_pixels: int = MAX_PIXELS, engine: Engine | None = None
) -> list[Problem]:
    """Return the problems of the images alone, all of them; each is read and decoded.

    Args:
        dataset: any ranking data set.
        max_pixels: images with more are errors.
        engine: where they are decoded; threads of this machine if None.
    """
    columns = [
        (table, f.name)
        for table in ("queries", "documents")
        for f in dataset.fields(table)
        if f.modality == "image"
    ]
    total = sum(dataset.height(table) for table, _ in columns)
    problems: list[Problem] = []
    if not total:
        return problems
    # reading waits for the disk: more threads than cores
    engine = engine or LocalEngine(min(16, 2 * LocalEngine().count))
    look = partial(_look_at, dataset.root, max_pixels)
    with progress("checking images", total, unit="images") as advance:
        for table, name in columns:
            start = 0
            for count, hits in engine.map(look, image_slices(dataset, table, name)):
                problems += [
                    Problem(table, start + row, name, kind, message, severity, item=item)
                    for row, item, kind, message, severity in hits
                ]
                start += count
                advance(count)
    return problems


def image_slices(dataset: Tables, table: str, name: str) -> Iterator[pl.Series]:
    """Yield an image field in stretches of few records, in order."""
    for part in dataset.parts(table, [name]):
        yield from (rows[name] for rows in part.read().iter_slices(_AT_A_TIME))


def _look_at(root: Path | None, max_pixels: int, part: pl.Series) -> tuple[int, list[_Hit]]:
    """Return how many rows there are, and what is wrong with the images in them."""
    rows, items, images = places(part)
    several = isinstance(part.dtype, pl.List)
    found = [
        (row, item if several else None, *hit)
        for row, item, image in zip(rows.tolist(), items.tolist(), images, strict=True)
        for hit in _look(root, image, max_pixels)
    ]
    return len(part), found


def _what_it_is(value: str | bytes) -> str | None:
    """Return what a text is that is no path of a file here, and what to do; None of any other."""
    if isinstance(value, bytes):
        return None
    if _ADDRESS.match(value):
        return "a web address, not a file: download the images and name the files"
    if value.startswith("data:"):
        return "a data URI, not a file: save the image as a file, or as bytes in Parquet"
    if "\\" in value:
        return "the path is written with backslashes: write it with /, from the tables' folder"
    return None


def _look(
    root: Path | None, value: str | bytes | None, max_pixels: int
) -> list[tuple[str, str, Severity]]:
    """Return kind, message and severity of what is wrong or unusual with one image."""
    if not value or (isinstance(value, str) and is_blank(value)):
        return []
    name = "the image" if isinstance(value, bytes) else value
    try:
        notes = image_notes(image_source(root, value), where=name, max_pixels=max_pixels)
    except ImageError as error:
        return [("bad image", f"{name}: {_what_it_is(value) or error.problem}", "error")]
    except DataError:
        return [("bad image", f"{name}: {_what_it_is(value) or f'the path {OUTSIDE}'}", "error")]
    return [("converted image", f"{name}: {note}", "warning") for note in notes]
