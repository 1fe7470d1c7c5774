"""Metrics as values that read and write as text, such as ``nDCG(gain=exp)@10``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rankfield.errors import MetricError
from rankfield.messages import did_you_mean
from rankfield.metrics.family import Parameter, Value, value_text
from rankfield.metrics.table import METRICS

__all__ = ["Metric", "canonical_name", "read_cutoff"]

_LONGEST = 200  # the pattern takes cubic time in blanks
_TEXT = re.compile(r"\s*(?P<family>\w+)\s*(?:\((?P<given>[^()]*)\))?\s*(?:@\s*(?P<cutoff>.*?))?\s*")
_DEEPEST = 10**9


@dataclass(frozen=True)
class Metric:
    """A metric: what to compute, how deep, and with which parameters.

    ``str(metric)`` is its canonical text, with parameters at their defaults left out;
    ``Metric.parse(str(metric)) == metric``.

    family: a key of `METRICS`.
    cutoff: how many documents of a list count, 1 to 10⁹; None: all that were retrieved. Recall and
        precision need one.
    parameters: name and value pairs. Those at their default are dropped, the others are brought
        into the family's order.

    Raises:
        MetricError: an unknown family or parameter, or a value out of range.
    """

    family: str
    cutoff: int | None = None
    parameters: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        if self.family not in METRICS:
            raise _unknown_family(self.family, self.family)
        _check_cutoff(self.family, self.cutoff)
        known = METRICS[self.family].parameters
        given: dict[str, Value] = {}
        for name, value in self.parameters:
            if name not in known:
                raise _unknown_parameter(self.family, name)
            if name in given:
                raise MetricError(f"{name} is given twice", where=f"metric {self.family}")
            given[name] = _read(self.family, name, value_text(value))
        ordered = {n: given[n] for n in known if n in given and given[n] != known[n].default}
        for name in ordered:
            _check_company(self.family, name, known, ordered)
        object.__setattr__(self, "parameters", tuple(ordered.items()))

    @classmethod
    def parse(cls, text: str | Metric) -> Metric:
        """Read ``FAMILY``, ``FAMILY@10``, ``FAMILY(name=value, …)@10``; upper or lower case.

        A family may have other spellings: recall is R, ndcg_exp is nDCG with gain=exp.

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
        spellings = _spellings()
        if word not in spellings:
            raise _unknown_family(found["family"], text)
        family, implied = spellings[word]
        parts = [part for part in (found["given"] or "").split(",") if part.strip()]
        given = [_named_value(part, text) for part in parts]
        return cls(family, read_cutoff(found["cutoff"], text), (*implied.items(), *given))

    def value(self, name: str) -> Value | None:
        """Return a parameter's value, or its default; None: what the scale says."""
        return dict(self.parameters).get(name, METRICS[self.family].parameters[name].default)

    @property
    def condensed(self) -> bool:
        """Whether unjudged documents are left out of the list."""
        return bool(dict(self.parameters).get("condensed", False))

    def __str__(self) -> str:
        """Return the canonical text."""
        inside = ", ".join(f"{name}={value_text(value)}" for name, value in self.parameters)
        cutoff = "" if self.cutoff is None else f"@{self.cutoff}"
        return f"{self.family}({inside}){cutoff}" if inside else f"{self.family}{cutoff}"


def canonical_name(text: str) -> str:
    """Return the canonical text of a metric's name; what is not one stays as it is."""
    try:
        return str(Metric.parse(text))
    except MetricError:
        return text


def read_cutoff(text: str | None, whole: str) -> int | None:
    """Read what stands after @, None where there is no @.

    Raises:
        MetricError: it is no whole number of at least 1; names the metric `whole`.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise MetricError(
            f"expected a cutoff of at least 1 after @, found {text!r}", where=f"metric {whole!r}"
        )
    return int(text)


def _check_cutoff(family: str, cutoff: int | None) -> None:
    if cutoff is None and METRICS[family].needs_cutoff:
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
        return METRICS[family].parameters[name].read(text)
    except ValueError as error:
        raise MetricError(
            f"expected {error}, found {text!r}", where=f"metric {family}, {name}"
        ) from error


def _spellings() -> dict[str, tuple[str, Mapping[str, str]]]:
    """Return name in lower case → family and the parameters that the name implies."""
    found: dict[str, tuple[str, Mapping[str, str]]] = {}
    for family in METRICS.values():
        found[family.name.lower()] = family.name, {}
        found |= {word: (family.name, implied) for word, implied in family.spellings.items()}
    return found


def _check_company(
    family: str, name: str, known: Mapping[str, Parameter], given: Mapping[str, Value]
) -> None:
    """Refuse a parameter that another one leaves without a meaning."""
    needed = known[name].only_with
    if needed is None:
        return
    other, wanted = needed
    found = given.get(other, known[other].default)
    if found != wanted:
        raise MetricError(
            f"{name} has no meaning with {found} {other}",
            where=f"metric {family}",
            remedy=f"Write {family}({other}={wanted}, {name}=…).",
        )


def _unknown_family(family: str, whole: str) -> MetricError:
    known = {spelling: name for spelling, (name, _) in _spellings().items()}
    return MetricError(
        f"unknown metric; expected one of {', '.join(METRICS)}",
        where=f"metric {whole!r}",
        remedy=did_you_mean(family.lower(), known, shown=known),
    )


def _unknown_parameter(family: str, name: str) -> MetricError:
    known = METRICS[family].parameters
    return MetricError(
        f"unknown parameter {name!r}; {family} has {', '.join(known) or 'none'}",
        where=f"metric {family}",
        remedy=did_you_mean(name, known),
    )
