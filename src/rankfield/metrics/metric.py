"""Metrics as values that read and write as text, such as ``nDCG(gain=exp)@10``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rankfield.errors import MetricError
from rankfield.messages import did_you_mean
from rankfield.metrics.gains import HIGHEST_GRADE

__all__ = ["Metric", "canonical_name"]

Value = str | float | bool

_LONGEST = 200  # the pattern takes cubic time in blanks
_TEXT = re.compile(r"\s*(?P<family>\w+)\s*(?:\((?P<given>[^()]*)\))?\s*(?:@\s*(?P<cutoff>.*?))?\s*")


@dataclass(frozen=True)
class _Parameter:
    """A parameter's default (None: the scale's) and the reading of its text."""

    default: Value | None
    read: Callable[[str], Value]


def _choice(*options: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in options:
            raise ValueError(f"one of {', '.join(options)}")
        return text.lower()

    return read


def _number(
    expected: str, above: float = -math.inf, below: float = math.inf
) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not above < value < below:
            raise ValueError(expected)
        return value

    return read


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


_CONDENSED = {"condensed": _Parameter(False, _flag)}
# 2^max must stay a finite float.
_HIGHEST = _number("a number above 0 and below 1000", 0, 1000)
_RELEVANT = {"rel": _Parameter(None, _number("a finite number")), **_CONDENSED}

_FAMILIES: dict[str, dict[str, _Parameter]] = {
    "nDCG": {
        "gain": _Parameter("linear", _choice("linear", "exp")),
        "max": _Parameter(HIGHEST_GRADE, _HIGHEST),
        **_CONDENSED,
    },
    "ERR": {"max": _Parameter(None, _HIGHEST), **_CONDENSED},
    "RBP": {"p": _Parameter(0.9, _number("a number between 0 and 1", 0, 1)), **_CONDENSED},
    "RR": _RELEVANT,
    "mAP": _RELEVANT,
    "R": _RELEVANT,
    "P": _RELEVANT,
    "Judged": {},
}
"""Family → its parameters, in the order in which they are written."""

_NEEDS_CUTOFF = ("R", "P")
_DEEPEST = 10**9

_ALIASES: dict[str, tuple[str, Mapping[str, str]]] = {
    **{family.lower(): (family, {}) for family in _FAMILIES},
    "ndcg_exp": ("nDCG", {"gain": "exp"}),
    "mrr": ("RR", {}),
    "map": ("mAP", {}),
    "ap": ("mAP", {}),
    "recall": ("R", {}),
    "precision": ("P", {}),
}


@dataclass(frozen=True)
class Metric:
    """A metric: what to compute, how deep, and with which parameters.

    ``str(metric)`` is its canonical text, with parameters at their defaults left out;
    ``Metric.parse(str(metric)) == metric``.

    family: one of nDCG, ERR, RBP, RR, mAP, R, P, Judged.
    cutoff: how many documents of a list count, 1 to 10⁹; None: all that were retrieved. R and P
        need one.
    parameters: name and value pairs. Those at their default are dropped, the others are brought
        into the family's order.

    | parameter | of | means |
    |---|---|---|
    | gain=linear, exp | nDCG | what a score is worth: `GainMap.linear`, `GainMap.exponential` |
    | max=4 | nDCG with gain=exp | the highest grade: a wider scale is mapped onto 0 … max |
    | max= | ERR | the same, and the max of 2^max; default: the scale's highest grade, at most 4 |
    | p=0.9 | RBP | the persistence |
    | rel= | RR, mAP, R, P | a score ≥ rel is relevant; default: the scale's `relevant` |
    | condensed=false | all but Judged | true: unjudged documents are first left out of the list |

    Raises:
        MetricError: an unknown family or parameter, or a value out of range.
    """

    family: str
    cutoff: int | None = None
    parameters: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        if self.family not in _FAMILIES:
            raise _unknown_family(self.family, self.family)
        _check_cutoff(self.family, self.cutoff)
        known = _FAMILIES[self.family]
        given = {}
        for name, value in self.parameters:
            if name not in known:
                raise _unknown_parameter(self.family, name)
            if name in given:
                raise MetricError(f"{name} is given twice", where=f"metric {self.family}")
            given[name] = _read(self.family, name, _text(value))
        ordered = {n: given[n] for n in known if n in given and given[n] != known[n].default}
        if self.family == "nDCG" and "max" in ordered and "gain" not in ordered:
            raise MetricError(
                "max has no meaning with linear gain",
                where="metric nDCG",
                remedy="Write nDCG(gain=exp, max=…).",
            )
        object.__setattr__(self, "parameters", tuple(ordered.items()))

    @classmethod
    def parse(cls, text: str | Metric) -> Metric:
        """Read ``FAMILY``, ``FAMILY@10``, ``FAMILY(name=value, …)@10``; upper or lower case.

        Other spellings of families: ndcg_exp (nDCG with gain=exp), mrr (RR), map and ap (mAP),
        recall (R), precision (P).

        Raises:
            MetricError: as the class, or text of another form; proposes a name that is near.
        """
        if isinstance(text, Metric):
            return text
        found = _TEXT.fullmatch(text) if len(text) <= _LONGEST else None
        if found is None:
            raise MetricError(
                "expected a name such as nDCG@10 or nDCG(gain=exp)@10", where=f"metric {text!r}"
            )
        word = found["family"].lower()
        if word not in _ALIASES:
            raise _unknown_family(found["family"], text)
        family, implied = _ALIASES[word]
        parts = [part for part in (found["given"] or "").split(",") if part.strip()]
        given = [_named_value(part, text) for part in parts]
        return cls(family, _cutoff(found["cutoff"], text), (*implied.items(), *given))

    def value(self, name: str) -> Value | None:
        """Return a parameter's value, or its default; None: what the scale says."""
        return dict(self.parameters).get(name, _FAMILIES[self.family][name].default)

    @property
    def condensed(self) -> bool:
        """Whether unjudged documents are left out of the list."""
        return bool(dict(self.parameters).get("condensed", False))

    def __str__(self) -> str:
        """Return the canonical text."""
        inside = ", ".join(f"{name}={_text(value)}" for name, value in self.parameters)
        cutoff = "" if self.cutoff is None else f"@{self.cutoff}"
        return f"{self.family}({inside}){cutoff}" if inside else f"{self.family}{cutoff}"


def canonical_name(text: str) -> str:
    """Return the canonical text of a metric's name; what is not one stays as it is."""
    try:
        return str(Metric.parse(text))
    except MetricError:
        return text


def _cutoff(text: str | None, whole: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise MetricError(
            f"expected a cutoff of at least 1 after @, found {text!r}", where=f"metric {whole!r}"
        )
    return int(text)


def _check_cutoff(family: str, cutoff: int | None) -> None:
    if cutoff is None and family in _NEEDS_CUTOFF:
        raise MetricError(
            "a cutoff is missing", where=f"metric {family}", remedy=f"Write {family}@10."
        )
    if cutoff is not None and not 1 <= cutoff <= _DEEPEST:
        raise MetricError(
            f"expected a cutoff from 1 to {_DEEPEST:,}, found {cutoff}", where=f"metric {family}"
        )


def _named_value(part: str, whole: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals:
        raise MetricError(
            f"expected name=value in the brackets, found {part.strip()!r}",
            where=f"metric {whole!r}",
        )
    return name.strip().lower(), value.strip()


def _read(family: str, name: str, text: str) -> Value:
    try:
        return _FAMILIES[family][name].read(text)
    except ValueError as error:
        raise MetricError(
            f"expected {error}, found {text!r}", where=f"metric {family}, {name}"
        ) from error


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)).removesuffix(".0") if isinstance(value, int | float) else value


def _unknown_family(family: str, whole: str) -> MetricError:
    known = {alias: name for alias, (name, *_) in _ALIASES.items()}
    return MetricError(
        f"unknown metric; expected one of {', '.join(_FAMILIES)}",
        where=f"metric {whole!r}",
        remedy=did_you_mean(family.lower(), known, shown=known),
    )


def _unknown_parameter(family: str, name: str) -> MetricError:
    known = _FAMILIES[family]
    return MetricError(
        f"unknown parameter {name!r}; {family} has {', '.join(known) or 'none'}",
        where=f"metric {family}",
        remedy=did_you_mean(name, known),
    )
