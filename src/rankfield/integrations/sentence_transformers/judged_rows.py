"""The rows of a trainer's data set as judged pairs: which are of one query, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rankfield.errors import DataError
from rankfield.integrations.sentence_transformers.batch_records import numbered

__all__ = ["JudgedRows", "judged_rows"]

_LABELS = ("label", "labels", "score", "scores")
"""The names that sentence-transformers knows for the column of labels."""


@dataclass(frozen=True)
class JudgedRows:
    """N rows of a query, a document and a label.

    label: the name of the labels' column.
    queries: int64 N, the number of each row's query; rows of equal text have one.
    scores: float64 N.
    weights: float64 N, or None where the labels are scores alone.
    """

    label: str
    queries: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64] | None


def judged_rows(dataset: Any, labels: Sequence[str] | None = None) -> JudgedRows:
    """Return the judged pairs of a `datasets.Dataset`.

    Args:
        dataset: the query in the first column beside the labels; a label is a score, or [score,
            weight] as `with_weights` makes it.
        labels: what the labels' column may be called; the first that is there counts.

    Raises:
        DataError: no such column, or a label that is not finite or of another shape.
    """
    names = labels or _LABELS
    label = next((name for name in names if name in dataset.column_names), None)
    if label is None:
        raise DataError(
            f"expected a column named {', '.join(names[:-1])} or {names[-1]}, found "
            f"{', '.join(dataset.column_names)}",
            where="dataset",
        )
    values = np.asarray(dataset[label][:], dtype=np.float64)
    if values.shape[1:] not in ((), (2,)) or not np.isfinite(values).all():
        raise DataError(
            "expected a finite number, or a score and a weight, in each row",
            where=f"dataset, column {label!r}",
        )
    anchor = next(name for name in dataset.column_names if name != label)
    queries = np.array(numbered(dataset[anchor])[0], dtype=np.int64)
    if values.ndim == 1:
        return JudgedRows(label, queries, values, None)
    return JudgedRows(label, queries, values[:, 0], values[:, 1])
