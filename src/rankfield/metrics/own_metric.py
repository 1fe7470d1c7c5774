"""A metric of the user's own: a function that is imported because the user named it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rankfield.errors import MetricError
from rankfield.messages import first_line
from rankfield.metrics.metric import Metric, read_cutoff
from rankfield.metrics.rankings import FloatArray, JudgedRankings
from rankfield.schema import ScoreScale

__all__ = ["OwnMetric", "is_own_metric", "load_metric"]

Function = Callable[[JudgedRankings, int, ScoreScale], FloatArray]
"""Rankings, cutoff (`sys.maxsize` for the whole list) and scale → float64 (Q,), NaN: undefined."""


@dataclass(frozen=True)
class OwnMetric:
    """A function with a cutoff; ``str(metric)`` is ``module:function@10``.

    name: "module:function".
    cutoff: how many documents of a list count; None: all that were retrieved.
    function: what computes it.
    """

    name: str
    cutoff: int | None
    function: Function

    def values(self, rankings: JudgedRankings, scale: ScoreScale) -> FloatArray:
        """Return the value of each query, float64 (Q,); NaN where it is undefined.

        Raises:
            MetricError: the function fails, or returns something else.
        """
        try:
            found = self.function(rankings, self.cutoff or sys.maxsize, scale)
            values = np.asarray(found, dtype=np.float64)
        except MetricError:
            raise
        except Exception as error:
            raise MetricError(
                f"fails: {type(error).__name__}: {first_line(error)}", where=f"metric {self}"
            ) from error
        if values.shape != (len(rankings),) or np.isinf(values).any():
            raise MetricError(
                f"expected a finite number or NaN for each of {len(rankings)} queries, found an "
                f"array of shape {values.shape}",
                where=f"metric {self}",
            )
        return values

    def __str__(self) -> str:
        """Return the name with its cutoff."""
        return self.name if self.cutoff is None else f"{self.name}@{self.cutoff}"


def is_own_metric(text: str) -> bool:
    """Return whether a name is "module:function", which `load_metric` would import."""
    return ":" in text


def load_metric(text: str) -> Metric | OwnMetric:
    """Return a metric by its name; "module:function" or "module:function@10" is imported.

    Importing runs the module: only names that the user gave, never those of a file, belong here.

    Raises:
        MetricError: as `Metric.parse`, or no function of that name.
    """
    if not is_own_metric(text):
        return Metric.parse(text)
    name, at, cutoff = (part.strip() for part in text.partition("@"))
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise MetricError(
            f"cannot be imported ({first_line(error)})",
            where=f"metric {name!r}",
            remedy=f"Is its folder on the Python path? ({sys.path[0] or '.'} comes first)",
        ) from error
    if not callable(function):
        raise MetricError("is not a function", where=f"metric {name!r}")
    return OwnMetric(name, read_cutoff(cutoff if at else None, text), function)
