"""A comparison as a file: JSON with everything, or one table as CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from rankfield import __version__
from rankfield.errors import InputError
from rankfield.escaping import spreadsheet_cells
from rankfield.evaluation.compare import Comparison
from rankfield.evaluation.results import Results
from rankfield.files import new_file
from rankfield.outputs import OR_OVERWRITE, require_new

__all__ = ["check_comparison_file", "save_comparison"]

_ENDINGS = (".json", ".csv", ".parquet")
_KEYS = ["split", "metric", "name"]


def check_comparison_file(
    path: str | Path, *, slices: bool = False, overwrite: bool = False
) -> None:
    """Make sure that `save_comparison` can write here: ask before a long comparison.

    Raises:
        InputError: an ending other than .json, .csv and .parquet, or slices in other than JSON.
        OutputError: the file exists and `overwrite` is false.
    """
    target = Path(path)
    if target.suffix not in _ENDINGS:
        raise InputError(
            f"expected a name that ends with {', '.join(_ENDINGS)}, found {target.name!r}",
            where=str(target),
        )
    if slices and target.suffix != ".json":
        raise InputError(
            "one table cannot hold slices too", where=str(target), remedy="Write .json."
        )
    if not overwrite:
        require_new(target, remedy=OR_OVERWRITE)


def save_comparison(
    comparison: Comparison,
    path: str | Path,
    *,
    slices: Mapping[str, pl.DataFrame] | None = None,
    pairs: pl.DataFrame | None = None,
    overwrite: bool = False,
) -> None:
    """Write a comparison with its tests; the ending of `path` says how.

    - .json: ``rankfield`` (version), ``runs`` (name → what each run says of itself), ``table``,
      ``tests``, ``slices`` (by → rows) and ``pairs``, if there are any, each a list of rows;
    - .csv, .parquet: one row for each of ``Comparison.table``, with the columns of
      ``Comparison.tests`` beside it, null for the first name; Parquet keeps ``rankfield`` and
      ``runs`` in its metadata.

    Args:
        comparison: what to write.
        path: the file.
        slices: by → table of `slice_comparison`, for JSON.
        pairs: of `Comparison.tests_against`, for JSON.
        overwrite: replace an older file.

    Raises:
        InputError, OutputError: as `check_comparison_file`; or the file cannot be written.
    """
    target = Path(path)
    check_comparison_file(target, slices=bool(slices), overwrite=overwrite)
    runs = {
        name: [_run(run, target) for run in of_name] for name, of_name in comparison.runs.items()
    }
    made = {"rankfield": __version__, "runs": runs}
    with new_file(target) as temporary:
        if target.suffix == ".json":
            value = {
                **made,
                "table": comparison.table.to_dicts(),
                "tests": comparison.tests.to_dicts(),
                "slices": {by: table.to_dicts() for by, table in (slices or {}).items()},
                **({} if pairs is None else {"pairs": pairs.to_dicts()}),
            }
            text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", "utf-8")
            return
        tests = comparison.tests.rename({"queries": "queries_compared"})
        joined = comparison.table.join(tests, on=_KEYS, how="left", maintain_order="left")
        if target.suffix == ".csv":
            spreadsheet_cells(joined).write_csv(temporary)
        else:
            metadata = {key: json.dumps(value, ensure_ascii=False) for key, value in made.items()}
            joined.write_parquet(temporary, metadata=metadata)


def _run(results: Results, file: Path) -> dict[str, Any]:
    value = results.to_json(file)
    keys = ("model", "label", "dataset", "subset", "protocol", "rankfield", "made")
    return {key: value[key] for key in keys}
