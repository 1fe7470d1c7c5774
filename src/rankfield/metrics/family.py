"""How a metric is declared: name, description, parameters with their defaults, function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rankfield.metrics.rankings import FloatArray, JudgedRankings
from rankfield.schema import ScoreScale

__all__ = ["Compute", "Family", "Parameter", "Value", "choice", "flag", "number", "value_text"]

Value = str | float | bool

Compute = Callable[[JudgedRankings, Sequence[int], ScoreScale, Mapping[str, Any]], FloatArray]
"""Rankings, C cutoffs, the scores' scale, and each parameter's value → float64 (C, Q)."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a metric.

    default: None means what `of_scale` says.
    read: its text → its value, or a ValueError that says what was expected.
    description: in one line.
    of_scale: what of the score scale is the default.
    only_with: another parameter and the value that this one needs it to have.
    """

    default: Value | None
    read: Callable[[str], Value]
    description: str
    of_scale: str = ""
    only_with: tuple[str, Value] | None = None

    @property
    def default_text(self) -> str:
        """The default as it is written in names, or what of the scale it is."""
        return self.of_scale if self.default is None else value_text(self.default)


@dataclass(frozen=True)
class Family:
    """A metric's declaration; with a cutoff and parameters it is a `Metric`.

    name: as results have it.
    description: its value for one query, in one line. K is the cutoff, r the rank from 1.
    compute: its function.
    parameters: name → parameter, in the order in which they are written. "condensed" is added.
    spellings: other names → the parameters that they imply, as text.
    needs_cutoff: whether a name without a cutoff is refused.
    can_condense: whether unjudged documents can be left out of the lists first.
    """

    name: str
    description: str
    compute: Compute
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    spellings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    needs_cutoff: bool = False
    can_condense: bool = True

    def __post_init__(self) -> None:
        if self.can_condense:
            object.__setattr__(self, "parameters", {**self.parameters, "condensed": _CONDENSED})


def value_text(value: Value) -> str:
    """Return a value as it is written in names: 4.0 as 4, True as true."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)).removesuffix(".0") if isinstance(value, int | float) else value


def choice(*options: str) -> Callable[[str], str]:
    """Return the reading of one of these words, upper or lower case."""

    def read(text: str) -> str:
        if text.lower() not in options:
            raise ValueError(f"one of {', '.join(options)}")
        return text.lower()

    return read


def number(
    expected: str, above: float = -math.inf, below: float = math.inf
) -> Callable[[str], float]:
    """Return the reading of a number between two others, which `expected` names."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not above < value < below:
            raise ValueError(expected)
        return value

    return read


def flag(text: str) -> bool:
    """Read true or false.

    Raises:
        ValueError: it is neither.
    """
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


_CONDENSED = Parameter(
    False,
    flag,
    "if `true`, unjudged documents are first left out of the list; those behind them move up",
)
