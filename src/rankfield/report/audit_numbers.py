"""The figures of an audit: distributions and coverage, computed in a stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from rankfield.errors import DataError
from rankfield.field_values import flat_values, is_absent
from rankfield.images import image_head
from rankfield.schema import Tables
from rankfield.validate import Summary

__all__ = [
    "Bars",
    "Coverage",
    "coverage",
    "image_bars",
    "judgments_each",
    "score_bars",
    "word_bars",
]

_IDS = {"queries": "query_id", "documents": "doc_id"}
_STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000)
_SIDES = (64, 128, 256, 512, 1024, 2048)
_IMAGES = 2_000


@dataclass(frozen=True)
class Bars:
    """One distribution: what is counted, (label, count) in order, and a remark."""

    title: str
    unit: str
    rows: tuple[tuple[str, int], ...]
    note: str = ""

    @property
    def most(self) -> int:
        """The largest count, at least 1."""
        return max([1, *(count for _, count in self.rows)])


@dataclass(frozen=True)
class Coverage:
    """How many records of a table have a field; words are the 5 %, 50 % and 95 % quantiles."""

    table: str
    field: str
    modality: str
    weight: float
    present: int
    records: int
    words: tuple[int, int, int] | None = None

    @property
    def share(self) -> float:
        """The fraction of records that have it, 0 to 1."""
        return self.present / self.records if self.records else 0.0


def score_bars(summary: Summary) -> Bars:
    """Return the distribution of the scores."""
    rows = tuple(
        (f"{low:.4g}" if low == high else f"{low:.4g} – {high:.4g}", count)
        for low, high, count in summary.scores
    )
    return Bars("Scores", "judgments", rows)


def judgments_each(dataset: Tables, table: str) -> Bars:
    """Return how many judgments the records of a table have; those with none too."""
    identity = _IDS[table]
    counts = (
        dataset.lazy("judgments")
        .group_by(identity)
        .len("judgments")
        .group_by("judgments")
        .len("records")
        .collect(engine="streaming")
    )
    judged = dataset.lazy("judgments").select(identity).unique()
    never = dataset.lazy(table).select(identity).join(judged, on=identity, how="anti")
    none = int(never.select(pl.len()).collect(engine="streaming").item())
    values = {0: none} | dict(counts.rows())
    one = {"queries": "query", "documents": "document"}[table]
    return Bars(f"Judgments of a {one}", table, _stepped(values))


def word_bars(dataset: Tables, table: str, field: str) -> tuple[Bars, tuple[int, int, int]]:
    """Return how many words a text field has where it is there, and three quantiles of that."""
    words = pl.col(field).str.count_matches(r"\S+").alias("words")
    counts = (
        dataset.lazy(table)
        .filter(~is_absent(field, pl.String()))
        .group_by(words)
        .len("records")
        .collect(engine="streaming")
        .sort("words")
    )
    bars = Bars(f"Words of {field}", table, _stepped(dict(counts.rows())))
    if counts.is_empty():
        return bars, (0, 0, 0)
    running = np.cumsum(counts["records"].to_numpy())
    places = np.searchsorted(running, np.array([0.05, 0.5, 0.95]) * running[-1])
    low, middle, high = counts["words"].gather(places).to_list()
    return bars, (low, middle, high)


def coverage(dataset: Tables, table: str) -> Iterator[tuple[Coverage, Bars | None]]:
    """Yield each field of a table, how many records have it, and the words of texts."""
    fields, records = dataset.fields(table), dataset.height(table)
    schema = dataset.schema(table)
    if not fields:
        return
    present = (
        dataset.lazy(table)
        .select((~is_absent(f.name, schema[f.name])).sum().alias(f.name) for f in fields)
        .collect(engine="streaming")
        .row(0)
    )
    for f, count in zip(fields, present, strict=True):
        bars, words = word_bars(dataset, table, f.name) if f.modality == "text" else (None, None)
        yield Coverage(table, f.name, f.modality, f.weight, int(count), records, words), bars


def image_bars(dataset: Tables, table: str, field: str) -> list[Bars]:
    """Return the longer sides, shapes and formats of up to 2,000 images, evenly chosen.

    Only the heads of files are read; what cannot be read is left out.
    """
    rows = np.unique(np.linspace(0, max(dataset.height(table) - 1, 0), _IMAGES).astype(np.int64))
    chosen = (
        dataset.lazy(table)
        .select(field)
        .with_row_index("\0row")
        .filter(pl.col("\0row").is_in(pl.Series(rows, dtype=pl.UInt32).implode()))
        .collect(engine="streaming")
    )
    _, values = flat_values(chosen[field])
    heads = [head for value in values if (head := _head(dataset, value)) is not None]
    note = f"of {len(heads):,} images"
    sides = Counter(int(np.searchsorted(_SIDES, max(w, h), side="right")) for w, h, _ in heads)
    names = ["under 64", *(f"{a} – {b - 1}" for a, b in pairwise(_SIDES))]
    names.append(f"{_SIDES[-1]} and more")
    used = [i for i in range(len(names)) if sides[i]]
    shown = range(used[0], used[-1] + 1) if used else range(0)
    shapes = Counter(_shape(w, h) for w, h, _ in heads)
    order = ("tall, over 5 : 4", "about square", "wide, over 5 : 4")
    return [
        Bars(f"Longer side of {field}, pixels", note, tuple((names[i], sides[i]) for i in shown)),
        Bars(f"Shape of {field}", note, tuple((name, shapes[name]) for name in order)),
        Bars(f"Format of {field}", note, _by_count(kind for _, _, kind in heads)),
    ]


def _stepped(values: dict[int, int]) -> tuple[tuple[str, int], ...]:
    """Put counts into steps of growing width, from the first that is used to the last."""
    counts: Counter[int] = Counter()
    for value, count in values.items():
        counts[int(np.searchsorted(_STEPS, value))] += count
    used = [step for step, count in counts.items() if count]
    rows = []
    for step in range(min(used, default=0), max(used, default=-1) + 1):
        if step == len(_STEPS):
            label = f"over {_STEPS[-1]:,}"
        elif step and _STEPS[step] - _STEPS[step - 1] > 1:
            label = f"{_STEPS[step - 1] + 1:,} – {_STEPS[step]:,}"
        else:
            label = f"{_STEPS[step]:,}"
        rows.append((label, counts[step]))
    return tuple(rows)


def _by_count(kinds: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(kinds).items(), key=lambda pair: (-pair[1], pair[0])))


def _shape(width: int, height: int) -> str:
    if width * 5 < height * 4:
        return "tall, over 5 : 4"
    return "wide, over 5 : 4" if height * 5 < width * 4 else "about square"


def _head(dataset: Tables, value: str | bytes) -> tuple[int, int, str] | None:
    try:
        return image_head(dataset.image_source(value))
    except DataError:
        return None
