"""The audit: every check of a data set, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankfield.engines import Engine, LocalEngine
from rankfield.errors import DataError
from rankfield.images import MAX_PIXELS
from rankfield.messages import more
from rankfield.schema import DatasetFolder, RankingDataset, Tables, require_dataset
from rankfield.validate.findings import Finding, contents, listed, off_scale, sound, structure
from rankfield.validate.images import image_problems
from rankfield.validate.problems import Problem

__all__ = ["audit", "findings", "first_error", "load_valid", "place_of", "require_valid"]

_REMEDY = "See `rankfield check`; `--fix` writes a cleaned copy."
_REMEDIES = {
    "score outside the scale": "State the true scale in dataset.toml ([score], minimum and maximum)"
    ", or write a copy without such rows: `rankfield check --fix`."
}


def audit(
    dataset: Tables,
    *,
    images: bool = True,
    max_pixels: int = MAX_PIXELS,
    engine: Engine | None = None,
) -> list[Problem]:
    """Return everything wrong with a data set, in the order of checks, tables and rows.

    Errors: an empty table; null or empty, duplicate and dangling ids; duplicate pairs; scores that
    are null, not finite, or outside the stated scale; records without any field; images missing,
    unreadable, truncated, too large, or outside the folder. Warnings: empty fields, queries without
    a judgment or without a relevant one, images that are converted on reading.

    Of each check and column the first 1,000 rows are listed and one entry without a row counts
    the rest; images are listed all.

    Args:
        dataset: any ranking data set, in memory or in its folder.
        images: decode every image too.
        max_pixels: images with more are errors.
        engine: where fields are read and images decoded; threads of this machine if None.
    """
    if not isinstance(dataset, RankingDataset | DatasetFolder):
        dataset = require_dataset(dataset)
    problems = [
        Problem(table, None, "", "empty table", "expected at least one row, found none")
        for table in ("queries", "documents", "judgments")
        if not dataset.height(table)
    ]
    for finding in findings(dataset, engine):
        problems += listed(dataset, finding)
    if images:
        problems += image_problems(dataset, max_pixels, engine)
    return problems


def require_valid(dataset: Tables) -> None:
    """Check what every later step relies on; no image is opened.

    Raises:
        DataError: an empty table, a null, empty, duplicate or dangling id, a duplicate pair, or a
            score that is not finite or outside the stated scale; names the first with table, row
            and column, and how many more.
    """
    for table in ("queries", "documents", "judgments"):
        if not dataset.height(table):
            raise DataError("expected at least one row, found none", where=place_of(dataset, table))
    found = first_error(dataset) or _first(dataset, [off_scale(dataset)])
    if found is not None:
        problem, others = found
        raise DataError(
            problem.message + more(others, "row"),
            where=f"{place_of(dataset, problem.table)}, row {problem.row} (counted from 0),"
            f" column {problem.field!r}",
            remedy=_REMEDIES.get(problem.kind, _REMEDY),
        )


def load_valid(folder: str | Path) -> RankingDataset:
    """Read a data set's folder and check it; a large one is memory-mapped, and checked once.

    Raises:
        DataError: as `RankingDataset.load` and `require_valid`.
    """
    dataset = RankingDataset.load(folder, mapped=True)
    if dataset.mapped is None:
        require_valid(dataset)
    else:
        dataset.mapped.derived("valid", partial(_checked, dataset))
    return dataset


def _checked(dataset: RankingDataset) -> dict[str, NDArray[np.generic]]:
    """Check a mapped data set, by the rows that its ids were found in if nothing is wrong."""
    if not sound(dataset):
        require_valid(dataset)  # says what is
    return {"valid": np.ones(1, dtype=bool)}


def first_error(dataset: Tables) -> tuple[Problem, int] | None:
    """Return the first problem of ids, pairs and scores, and how many more rows share it."""
    return _first(dataset, structure(dataset))


def _first(dataset: Tables, found: Iterable[Finding]) -> tuple[Problem, int] | None:
    for finding in filter(_nonempty, found):
        return listed(dataset, finding)[0], len(finding.rows) - 1
    return None


def findings(dataset: Tables, engine: Engine | None = None) -> Iterator[Finding]:
    """Yield the checks that some row fails, in the order of `audit`."""
    checks = chain(structure(dataset), contents(dataset, engine or LocalEngine()))
    return filter(_nonempty, checks)


def place_of(dataset: Tables, table: str) -> str:
    """Return how to name a table in a message."""
    return f"{dataset.root or dataset.name}, {table}"


def _nonempty(finding: Finding) -> bool:
    return len(finding.rows) > 0
