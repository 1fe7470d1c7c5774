"""A query: one typed, frozen object, whether it comes from Python, JSON or the command line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic import Strict as Exactness

from rankfield.errors import InputError
from rankfield.parsing import parse_json
from rankfield.query.filters import parse_filter
from rankfield.query.parts import MAX_ID, MAX_WEIGHT, Excluded, Part, Text
from rankfield.settings import Settings, check_settings, table_keys
from rankfield.unicode_text import refuse_halves

__all__ = [
    "MAX_JSON",
    "MAX_WINDOW",
    "WINDOW",
    "Boost",
    "Cutoff",
    "Hybrid",
    "Mmr",
    "Query",
    "Weights",
]

WINDOW = 1_000
"""Candidates of a query that does not say how many."""

MAX_WINDOW = 100_000
"""Candidates of a query."""

MAX_JSON = 64 << 20
"""Bytes of a query as JSON."""

_MOST = 32
_PAGE = {"limit", "offset", "cursor", "explain", "facets", "facet_values", "count", "now"}
"""What may differ from page to page: the order does not depend on it."""

_Name = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
_Names = Annotated[tuple[_Name, ...], Exactness(False), Field(max_length=_MOST)]
_Weight = Annotated[float, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT)]
_Positive = Annotated[float, Field(ge=0, le=MAX_WEIGHT)]


def _filter(text: str) -> str:
    parse_filter(text)
    return text


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _boosted_field(text: str) -> str:
    """Check NAME or NAME^WEIGHT."""
    name, separator, weight = text.rpartition("^")
    if separator:
        try:
            number = float(weight)
        except ValueError:
            number = -1
        if not name or not 0 < number <= MAX_WEIGHT:
            raise ValueError(f"expected NAME or NAME^WEIGHT, WEIGHT above 0, found {text!r}")
    return text


class Weights(Settings):
    """How much each arm of a hybrid query counts."""

    vector: _Positive = 1.0
    text: _Positive = 1.0


class Hybrid(Settings):
    """BM25 over stored text columns beside the vectors.

    text: the words; by default those of the query's parts with positive weights.
    fields: NAME or NAME^WEIGHT; by default the documents' text fields.
    fusion: "rrf": score = Σ over arms weight / (k + rank), ranks from 1; "weighted": score = Σ
        weight · normalised score. A document that an arm does not find gets 0 of it.
    k: of "rrf".
    weights: of the arms.
    window: how many candidates each arm gives.
    """

    text: Text | None = None
    fields: Annotated[
        tuple[Annotated[_Name, AfterValidator(_boosted_field)], ...],
        Exactness(False),
        Field(max_length=_MOST),
    ] = ()
    fusion: Literal["rrf", "weighted"] = "rrf"
    k: int = Field(default=60, ge=1, le=100_000)
    weights: Weights = Weights()
    window: int = Field(default=200, ge=1, le=MAX_WINDOW)

    def field_weights(self) -> dict[str, float]:
        """Return name → weight of the fields that are named."""
        pairs = (text.rpartition("^") if "^" in text else (text, "", "1") for text in self.fields)
        return {name: float(weight) for name, _, weight in pairs}


class Boost(Settings):
    """score += weight · scale(value of a column); 0 where the column is null.

    field: a stored column of numbers, booleans (1 and 0), or of "reciprocal_age" dates or times.
    scale: with x = max(value, 0) but for "linear": "linear" value; "log1p" ln(1 + x); "sqrt" √x;
        "reciprocal" 1 / (1 + x / pivot); "reciprocal_age" the same of the age in days.
    pivot: where a reciprocal is 1/2; 1, of ages 30 days, by default.
    """

    field: _Name
    scale: Literal["linear", "log1p", "sqrt", "reciprocal", "reciprocal_age"] = "linear"
    weight: _Weight = 1.0
    pivot: float | None = Field(default=None, gt=0, le=1e12)

    @model_validator(mode="after")
    def _pivot_counts(self) -> Self:
        if self.pivot is not None and not self.scale.startswith("reciprocal"):
            raise ValueError(f"pivot has no effect on the scale {self.scale}; leave it out")
        return self


class Mmr(Settings):
    """Maximal marginal relevance: each place goes to what is good and unlike the places above.

    diversity: 0 none, 1 nothing else.
    candidates: the first so many results are ordered so; there are no others.
    """

    diversity: float = Field(ge=0, le=1)
    candidates: int = Field(default=100, ge=2, le=1_000)


class Cutoff(Settings):
    """Which results are left out as irrelevant; the scores of others stay as they are.

    min_similarity: those of a lower similarity.
    relative: those of a lower similarity than so many times the best, if that is above 0.
    """

    min_similarity: float | None = Field(default=None, ge=-1, le=1)
    relative: float | None = Field(default=None, ge=0, le=1)


class Query(Settings):
    """What to look for, and which results to show in which order.

    parts ("query" in JSON): unit vectors, whose weighted sum, normalised, is the query's vector.
    filter: which documents may be found (`filters.parse`).
    hybrid: BM25 beside the vectors.
    boost: what columns add to the score.
    exclude: what no result may be like.
    mmr: diverse results.
    cutoff: what is too unlike the query.
    collapse: a column; of documents with the same value the best is shown.
    facets, facet_values: columns whose values are counted; how many of the most frequent values.
    count: count the matching documents, as facets do.
    keep_liked: show documents of `like` too.
    window: how many candidates are ordered, and the most that can be shown, page by page; of a
        hybrid query its own window is for each arm.
    limit, offset, cursor: the page.
    exact: search exactly, in a store that approximates too.
    explain: say how each score comes about.
    now: for ages, in UTC unless it has a zone; by default the time of the first page.
    """

    model_config = Settings.model_config | {"populate_by_name": True}

    parts: Annotated[
        tuple[Part, ...], Exactness(False), Field(alias="query", min_length=1, max_length=_MOST)
    ]
    filter: Annotated[str, AfterValidator(_filter)] | None = None
    hybrid: Hybrid | None = None
    boost: Annotated[tuple[Boost, ...], Exactness(False), Field(max_length=_MOST)] = ()
    exclude: Annotated[tuple[Excluded, ...], Exactness(False), Field(max_length=_MOST)] = ()
    mmr: Mmr | None = None
    cutoff: Cutoff | None = None
    collapse: _Name | None = None
    facets: _Names = ()
    facet_values: int = Field(default=20, ge=1, le=1_000)
    count: bool = False
    keep_liked: bool = False
    window: int | None = Field(default=None, ge=1, le=MAX_WINDOW)
    limit: int = Field(default=10, ge=1, le=MAX_WINDOW)
    offset: int = Field(default=0, ge=0, le=MAX_WINDOW)
    cursor: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    exact: bool = False
    explain: bool = False
    now: Annotated[datetime, Exactness(False), AfterValidator(_in_utc)] | None = None

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        if self.hybrid is not None and self.window is not None:
            raise ValueError("window has no effect on a hybrid query; set hybrid.window")
        if self.cursor is not None and self.offset:
            raise ValueError("expected a cursor or an offset, found both")
        end = self.offset + self.limit
        if self.mmr is not None and self.mmr.diversity:
            if self.mmr.candidates <= end:
                raise ValueError(
                    f"expected more mmr.candidates than offset + limit, {end}; found "
                    f"{self.mmr.candidates}"
                )
        elif end > self.depth:
            key = "window" if self.hybrid is None else "hybrid.window"
            raise ValueError(
                f"offset + limit is {end}, beyond the window of {self.depth}; set {key} larger, "
                "or show fewer"
            )
        return self

    @property
    def candidates(self) -> int:
        """How many candidates each arm gives."""
        return self.hybrid.window if self.hybrid is not None else self.window or WINDOW

    @property
    def depth(self) -> int:
        """How many results can be shown, page by page."""
        if self.mmr is not None and self.mmr.diversity:
            return self.mmr.candidates
        return self.candidates

    @classmethod
    def of(cls, value: object, **settings: object) -> Query:
        """Return the query of a value, as JSON or Python holds it.

        Args:
            value: a text; a dictionary text → weight; a list of parts, of which each is a text or a
                dictionary; a dictionary of this object's keys; or a query.
            settings: further keys of this object.

        Raises:
            InputError: an unknown key, or a value that does not fit; says which.
        """
        if isinstance(value, Query):
            if not settings:
                return value
            value = value.to_json()
        if isinstance(value, Mapping) and table_keys(cls).keys() & set(value):
            values = {**value, **settings}
        else:
            values = {"query": value, **settings}
        if "query" in values:
            values["query"] = _parts(values["query"])
        return check_settings(values, cls, where="query")

    @classmethod
    def from_json(cls, text: str | bytes) -> Query:
        """Return the query of a JSON text.

        Raises:
            InputError: no JSON, too large, or as `of`.
        """
        if len(text) > MAX_JSON:
            raise InputError(f"expected at most {MAX_JSON:,} bytes of JSON", where="query")
        try:
            text = text.decode() if isinstance(text, bytes) else text
            value = parse_json(text)
        except ValueError as error:
            raise InputError(f"not valid JSON ({error})", where="query") from None
        refuse_halves(text, value, where="query")
        return cls.of(value)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON holds of it, defaults left out: `of` makes it equal again."""
        found: dict[str, Any] = self.model_dump(
            mode="json", by_alias=True, exclude_defaults=True, exclude={"parts", "exclude"}
        )
        found["query"] = [part.content_json() for part in self.parts]
        if self.exclude:
            found["exclude"] = [part.content_json() for part in self.exclude]
        return found

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits of all that the order of results depends on."""
        values = {key: value for key, value in self.to_json().items() if key not in _PAGE}
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _parts(value: object) -> object:
    """Return parts as a list of dictionaries, as far as they are written shorter."""
    if isinstance(value, str):
        return [{"text": value}]
    if isinstance(value, Mapping):
        return [{"text": text, "weight": weight} for text, weight in value.items()]
    if isinstance(value, list | tuple):
        return [{"text": one} if isinstance(one, str) else one for one in value]
    return value
