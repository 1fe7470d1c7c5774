"""What judging leaves: judgments, votes, and judge.json, which says how they were made."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rankfield import __version__
from rankfield.errors import OutputError
from rankfield.files import read_json, write_json
from rankfield.judging.agreement import cohen_kappa, confusion_table, kendall_tau
from rankfield.outputs import already_exists, storage_errors
from rankfield.schema import RankingDataset
from rankfield.work_folder import WorkFolder, work_folder

__all__ = [
    "JOURNAL",
    "REQUESTS",
    "finish",
    "finished_before",
    "human_agreement",
    "judging_folder",
    "vote_agreement",
]

JOURNAL = "journal.jsonl"
REQUESTS = "requests.jsonl"
"""The files of a work folder."""


def finished_before(
    out: Path, dataset: RankingDataset, asked: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the record of `out` if a killed run had finished it and not yet tidied up.

    asked: the part of the record that says what was to be done.

    Raises:
        OutputError: something else is at `out`, or another's folder where the work folder belongs.
    """
    found = os.path.lexists(_work_path(out))
    if not os.path.lexists(out):
        if found:
            with judging_folder(out):
                pass  # refuses another's folder before any work
        return None
    if found and (out / "judge.json").is_file():
        with suppress(OutputError), judging_folder(out) as work:
            written = read_json(out / "judge.json")
            if isinstance(written, dict) and _says(written, asked | _origin(dataset)):
                work.remove()
                return {k: v for k, v in written.items() if k not in _origin(dataset)}
    raise already_exists(out)


def _says(written: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(written.get(key) == value for key, value in expected.items())


def judging_folder(out: Path) -> AbstractContextManager[WorkFolder]:
    """Open the folder where a run keeps what it has until `out` is whole.

    Raises:
        OutputError: another's folder, or another run, is there.
    """
    return work_folder(_work_path(out), "judge", names=(JOURNAL, REQUESTS))


def _work_path(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def _origin(dataset: RankingDataset) -> dict[str, Any]:
    return {
        "made_by": f"rankfield judge {__version__}",
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint()},
    }


def finish(
    out: Path,
    work: WorkFolder,
    *,
    dataset: RankingDataset,
    judgments: pl.DataFrame,
    votes: pl.DataFrame | None,
    record: dict[str, Any],
) -> None:
    """Write the folder `out` whole; it is made in its work folder."""
    with storage_errors(out):
        staged = work.staged()
        judgments.write_parquet(staged / "judgments.parquet")
        if votes is not None:
            votes.write_parquet(staged / "votes.parquet")
        if (work.path / REQUESTS).is_file():
            shutil.copyfile(work.path / REQUESTS, staged / REQUESTS)
        write_json(staged / "judge.json", _origin(dataset) | record)
        staged.rename(out)


def vote_agreement(votes: Sequence[Sequence[float | None]], grades: list[float]) -> dict[str, Any]:
    """Return how far the votes agree with each other.

    Args:
        votes: for each pair its votes, None where one is missing.
        grades: of the rubric, ascending.

    Returns:
        ``pairs`` with two votes or more, ``unanimous`` (their share in which all votes are equal),
        and ``quadratic_kappa``, the mean of Cohen's kappa over all two votes; None where undefined.
    """
    present = [[v for v in vote if v is not None] for vote in votes]
    several = [v for v in present if len(v) > 1]
    kappas = []
    for one, other in itertools.combinations(range(max(map(len, votes), default=0)), 2):
        both = [
            (first, second)
            for first, second in ((v[one], v[other]) for v in votes)
            if first is not None and second is not None
        ]
        table = confusion_table([a for a, _ in both], [b for _, b in both], grades)
        if (kappa := cohen_kappa(table, "quadratic")) is not None:
            kappas.append(kappa)
    return {
        "pairs": len(several),
        "unanimous": float(np.mean([len(set(v)) == 1 for v in several])) if several else None,
        "quadratic_kappa": float(np.mean(kappas)) if kappas else None,
    }


def human_agreement(
    judgments: pl.DataFrame, human: pl.DataFrame, grades: list[float] | None
) -> dict[str, Any]:
    """Return how far scores agree with human ones, over the pairs that both have.

    Args:
        judgments: ``query_id``, ``doc_id``, ``score``.
        human: the same.
        grades: of the rubric, ascending; None for scores without grades.

    Returns:
        ``pairs`` and ``kendall_tau`` (τ_b). If the human scores are grades of the rubric, also
        ``quadratic_kappa``, ``linear_kappa``, ``exact`` (share of equal grades) and ``confusion``
        (rows human, columns judged), the judged scores rounded to the nearest grade, the lower one
        at a tie.
    """
    both = judgments.join(human, on=["query_id", "doc_id"], how="inner", suffix="_human")
    found: dict[str, Any] = {"pairs": both.height}
    if both.is_empty():
        return found
    judged, given = both["score"].to_numpy(), both["score_human"].to_numpy()
    found["kendall_tau"] = kendall_tau(judged, given)
    if grades is None or not np.isin(given, grades).all():
        return found
    values = np.asarray(grades)
    nearest = values[np.abs(judged[:, None] - values[None, :]).argmin(axis=1)]
    table = confusion_table(given, nearest, values)
    return found | {
        "quadratic_kappa": cohen_kappa(table, "quadratic"),
        "linear_kappa": cohen_kappa(table, "linear"),
        "exact": float((nearest == given).mean()),
        "grades": grades,
        "confusion": table.tolist(),
    }
