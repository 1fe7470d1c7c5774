"""The audit page: one self-contained HTML page about a data set and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from rankfield import __version__
from rankfield.curation import LeakReport, leak_report, split_sizes
from rankfield.curation.dedupe import exact_clusters
from rankfield.engines import Engine
from rankfield.errors import DataError
from rankfield.field_values import first_value
from rankfield.files import new_file
from rankfield.report.audit_numbers import (
    Bars,
    Coverage,
    coverage,
    image_bars,
    judgments_each,
    score_bars,
)
from rankfield.report.data_card import card_facts
from rankfield.report.style import SPLIT_MEANINGS, SPLIT_TITLES, counted
from rankfield.report.templates import TEMPLATES, template_environment
from rankfield.report.thumbnails import Thumbnails
from rankfield.schema import Tables
from rankfield.validate import Problem, Summary, summarise

__all__ = ["write_audit_page"]

_SHOWN = 6
_SIDE_BY_SIDE = 4
_IDS = {"queries": "query_id", "documents": "doc_id"}


@dataclass(frozen=True)
class _Record:
    """A record as the page shows it."""

    name: str
    title: str
    thumbnail: str
    has_image: bool
    remark: str = ""


@dataclass(frozen=True)
class _Kind:
    """All problems of one kind, the first few with their records."""

    severity: str
    place: str
    kind: str
    count: int
    shown: list[_Record]


@dataclass(frozen=True)
class _Same:
    """Records that are exactly the same."""

    count: int
    records: list[_Record]


@dataclass(frozen=True)
class _Duplicates:
    """The exact duplicates of a table: how many records beyond the first, the largest groups."""

    table: str
    extra: int
    groups: int
    largest: list[_Same]


def write_audit_page(
    path: str | Path,
    *,
    dataset: Tables,
    problems: Sequence[Problem],
    engine: Engine | None = None,
) -> None:
    """Write a page with sizes, distributions, coverage, problems, splits and a data card.

    The page needs no network: styles and images (WebP of at most 96 pixels, of the records shown
    alone) are inside. The same input gives the same bytes. Tables are read in a stream; sizes of
    images are those of up to 2,000.

    Args:
        path: the HTML file to write; an older one is replaced.
        dataset: any ranking data set, in memory or in its folder.
        problems: what `validate.audit` found.
        engine: where texts and images are compared; threads of this machine if None.

    Raises:
        OutputError: the page cannot be written.
    """
    page = template_environment().get_template("audit_page.html")
    text = page.render(_context(dataset, problems, engine))
    with new_file(path) as temporary:
        temporary.write_text(text, "utf-8")


def _context(dataset: Tables, problems: Sequence[Problem], engine: Engine | None) -> dict[str, Any]:
    """Return the values that the template reads."""
    summary = summarise(dataset)
    shown = _Shown(dataset)
    kinds = _kinds(problems, shown)
    divided = _is_divided(dataset)
    fields = [found for table in _IDS for found in coverage(dataset, table)]
    duplicates = [_duplicates(dataset, table, shown, engine) for table in _IDS]
    leaks = leak_report(dataset, engine=engine) if divided else None
    return {
        "css": Markup((TEMPLATES / "page.css").read_text("utf-8")),
        "own_css": Markup((TEMPLATES / "audit_page.css").read_text("utf-8")),
        "version": __version__,
        "name": dataset.name,
        "summary": _sentences(summary, kinds, [c for c, _ in fields], leaks),
        "sizes": _sizes(summary),
        "distributions": [score_bars(summary), *(judgments_each(dataset, t) for t in _IDS)],
        "coverage": [found for found, _ in fields],
        "contents": [bars for _, bars in fields if bars] + _images(dataset),
        "problems": kinds,
        "duplicates": [found for found in duplicates if found.extra],
        "splits": split_sizes(dataset).rows(named=True) if divided else [],
        "split_titles": SPLIT_TITLES,
        "split_meanings": SPLIT_MEANINGS,
        "leaks": leaks,
        "facts": card_facts(dataset),
    }


def _sentences(
    summary: Summary,
    kinds: Sequence[_Kind],
    fields: Sequence[Coverage],
    leaks: LeakReport | None,
) -> tuple[str, str]:
    """Say in a sentence whether the data set is sound, and in another what stands out."""
    counts = {
        severity: sum(kind.count for kind in kinds if kind.severity == severity)
        for severity in ("error", "warning")
    }
    if counts["error"]:
        verdict = f"{counted(counts['error'], 'error')} to be fixed before training"
    elif counts["warning"]:
        verdict = f"No errors, {counted(counts['warning'], 'warning')}"
    else:
        verdict = "Nothing is wrong with it"
    lead = (
        f"{summary.queries:,} queries, {summary.documents:,} documents and"
        f" {summary.judgments:,} judgments. {verdict}."
    )
    second = (
        f"A judged query has {summary.judgments_per_query:,.1f} judgments on average;"
        f" {counted(summary.never_judged, 'document')} had none."
    )
    gaps = [f for f in fields if f.share < 1]
    if gaps:
        worst = min(gaps, key=lambda f: f.share)
        second += f" The field {worst.field} is missing in {1 - worst.share:.1%} of {worst.table}."
    if leaks is not None and leaks.total:
        second += f" Between the sides of the split, {counted(leaks.total, 'leak')} were found."
    return lead, second


def _is_divided(dataset: Tables) -> bool:
    """Return whether all three tables say on which side of a split their rows are."""
    columns = {"queries": {"seen", "subset"}, "documents": {"seen"}, "judgments": {"split"}}
    return all(wanted <= set(dataset.schema(table)) for table, wanted in columns.items())


def _sizes(summary: Summary) -> list[tuple[str, str]]:
    return [
        ("queries", f"{summary.queries:,}"),
        ("documents", f"{summary.documents:,}"),
        ("judgments", f"{summary.judgments:,}"),
        ("judgments per judged query", f"{summary.judgments_per_query:,.1f}"),
        ("documents never judged", f"{summary.never_judged:,}"),
    ]


def _images(dataset: Tables) -> list[Bars]:
    return [
        bars
        for table in _IDS
        for f in dataset.fields(table)
        if f.modality == "image"
        for bars in image_bars(dataset, table, f.name)
    ]


def _kinds(problems: Sequence[Problem], shown: _Shown) -> list[_Kind]:
    """Return problems by kind, errors first, then the most frequent."""
    groups: dict[tuple[str, str, str, str], list[Problem]] = {}
    for problem in problems:
        key = (problem.severity, problem.table, problem.field, problem.kind)
        groups.setdefault(key, []).append(problem)
    found = [
        _Kind(
            severity,
            f"{table}, {field}" if field else table,
            kind,
            sum(p.count for p in group),
            _listed(table, group, shown),
        )
        for (severity, table, field, kind), group in groups.items()
    ]
    return sorted(found, key=lambda kind: (kind.severity, -kind.count))


def _listed(table: str, group: list[Problem], shown: _Shown) -> list[_Record]:
    some = [p for p in group if p.row is not None][:_SHOWN]
    remarks = {p.row: f"row {p.row}: {p.message}" for p in some if p.row is not None}
    return shown.records(table, remarks)


def _duplicates(dataset: Tables, table: str, shown: _Shown, engine: Engine | None) -> _Duplicates:
    """Find the records whose texts are all equal; the largest groups are shown, largest first."""
    representatives = exact_clusters(dataset, table, engine=engine)
    sizes = np.bincount(representatives, minlength=1)
    several = np.flatnonzero(sizes > 1)
    largest = several[np.lexsort((several, -sizes[several]))][: _SHOWN // 2]
    groups = [np.flatnonzero(representatives == root)[:_SIDE_BY_SIDE].tolist() for root in largest]
    return _Duplicates(
        table,
        int((sizes[several] - 1).sum()),
        len(several),
        [
            _Same(int(sizes[root]), shown.records(table, dict.fromkeys(rows, "")))
            for root, rows in zip(largest, groups, strict=True)
        ],
    )


class _Shown:
    """Turns rows into what is shown of them; only those are read."""

    def __init__(self, dataset: Tables) -> None:
        self._dataset = dataset
        self._thumbnails = Thumbnails(dataset, DataError)

    def records(self, table: str, remarks: Mapping[int, str]) -> list[_Record]:
        """Return the records of these rows, in the order of rows."""
        columns = dict.fromkeys([*_ids(table), *(f.name for f in self._dataset.fields(table))])
        rows = pl.Series(sorted(remarks), dtype=pl.UInt32)
        found = (
            self._dataset.lazy(table)
            .select(*columns)
            .with_row_index("\0row")
            .filter(pl.col("\0row").is_in(rows.implode()))
            .collect(engine="streaming")
        )
        return [self._record(table, row, remarks) for row in found.iter_rows(named=True)]

    def _record(self, table: str, row: Mapping[str, Any], remarks: Mapping[int, str]) -> _Record:
        fields = self._dataset.fields(table)
        name = " · ".join(str(row[column]) for column in _ids(table))
        texts = [str(row[f.name]) for f in fields if f.modality == "text" and row[f.name]]
        images = [first_value(row[f.name]) for f in fields if f.modality == "image"]
        present = [image for image in images if image is not None]
        return _Record(
            name,
            " · ".join(texts),
            self._thumbnails.address(present[0]) if present else "",
            bool(images),
            remarks[row["\0row"]],
        )


def _ids(table: str) -> list[str]:
    return [_IDS[table]] if table in _IDS else list(_IDS.values())
