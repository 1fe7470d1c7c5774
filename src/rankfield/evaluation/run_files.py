"""The ranked lists of an evaluation as run files, in TREC's form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.evaluation.results import Results
from rankfield.formats.trec.runs import require_words, write_run
from rankfield.schema import RankingDataset

__all__ = ["check_run_ids", "run_files", "save_run_files", "with_best"]

_UNUSUAL = re.compile(r"[^\w.+-]+")
_LONGEST = 60


def run_files(path: str | Path, splits: Sequence[str]) -> dict[str, Path]:
    """Return split → the file of its lists: `path` itself, of several splits NAME.SPLIT.ENDING.

    A query may be in several splits, and a run file has one list for each.
    """
    path = Path(path)
    if len(splits) == 1:
        return {splits[0]: path}
    return {split: path.with_name(f"{path.stem}.{split}{path.suffix}") for split in splits}


def check_run_ids(dataset: RankingDataset) -> None:
    """Make sure that every id can stand in a run file: ask before a long evaluation.

    Raises:
        DataError: an id holds white space.
    """
    require_words(dataset.queries, "query_id")
    require_words(dataset.documents, "doc_id")


def save_run_files(results: Results, path: str | Path) -> list[Path]:
    """Write all of ``Results.rankings`` as one run file for each split; return the files.

    trec_eval and others order lists by score alone, equal scores by doc_id. So that they keep the
    order of the lists, a score that does not descend becomes the next smaller number of single
    precision. The tag is the label, or the model's name.

    Raises:
        DataError: an id holds white space.
        OutputError: a file cannot be written.
    """
    tag = _UNUSUAL.sub("_", results.label or results.model)[:_LONGEST] or "rankfield"
    files = run_files(path, list(results.splits))
    for split, place in files.items():
        lists = results.rankings.filter(split=split)
        scores = _descending(
            lists["query_id"].rle_id().to_numpy(), lists["similarity"].cast(pl.Float32).to_numpy()
        )
        columns = lists.select("query_id", "doc_id", "rank", tag=pl.lit(tag))
        write_run(columns.with_columns(score=pl.Series(scores)), place)
    return list(files.values())


def with_best(results: Results, keep: int) -> Results:
    """Return the results with the `keep` best documents of each query alone."""
    return replace(
        results,
        rankings=results.rankings.filter(pl.col("rank") <= keep),
        metadata={**results.metadata, "keep": keep},
    )


def _descending(
    lists: npt.NDArray[np.uint32], scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return scores that descend within each list, by the smallest steps where they do not."""
    found = scores.copy()
    later = lists[1:] == lists[:-1]
    for place in np.flatnonzero(later & (scores[1:] >= scores[:-1])) + 1:
        # A step down may reach the score behind it, and so on.
        while found[place] >= found[place - 1]:
            found[place] = np.nextafter(found[place - 1], np.float32(-np.inf))
            place += 1  # noqa: PLW2901
            if place == len(found) or lists[place] != lists[place - 1]:
                break
    return found
