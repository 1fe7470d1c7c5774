"""What the page of the raters' agreement shows."""

from __future__ import annotations

import shlex
from typing import Any

from rankfield.serving.agreement import Disagreement, rater_agreement
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.grade_address import GradeAddress
from rankfield.serving.page.grade_view import graded_set
from rankfield.serving.page.hit_view import title_of
from rankfield.serving.page.neighbours import neighbours
from rankfield.serving.page.query_set import QuerySet
from rankfield.serving.page.stored_hit import stored_hit
from rankfield.serving.rules import RULES, Rule
from rankfield.serving.served_index import ServedIndex

__all__ = ["agreement_values"]

_SHOWN = 50


def agreement_values(desk: Desk, page: GradeAddress, start: int) -> dict[str, Any]:
    """Return how far raters agree about the queries of a set, and where they do not.

    Raises:
        Failure, DataError: as `grade_view.overview_values`.
    """
    indexes, queries = graded_set(desk, page.index)
    everything = desk.grade_book().grades()
    grades = {pair: acts for pair, acts in everything.items() if pair[0] in queries.queries}
    found = rater_agreement(grades)
    rows = []
    for one in found.disagreements[start : start + _SHOWN]:
        score, by = page.combining.combined(grades[one.query_id, one.doc_id])
        rows.append({**_row(one, page, indexes, queries), "score": f"{score:g}", "by": by})
    return {
        "page": page, "rater": page.rater, "error": None, "rows": rows,
        "raters": sorted({one.rater for acts in grades.values() for one in acts if one.rater}),
        "pairs": [
            (one.first or "no name", one.second or "no name", one.count, _number(one.kappa))
            for one in found.pairs
        ],
        "alpha": _number(found.alpha), "shared": found.shared, "graded": len(grades),
        "count": len(found.disagreements), "rules": RULES, "command": _command(page.combining),
        "hidden": {k: v for k, v in page.pairs().items() if k not in ("rule", "settled")},
        "overview": page.overview(),
        **neighbours(start, _SHOWN, len(found.disagreements), page.agreement),
    }  # fmt: skip


def _row(
    one: Disagreement, page: GradeAddress, indexes: list[ServedIndex], queries: QuerySet
) -> dict[str, Any]:
    return {
        "query": queries.queries[one.query_id].title[:200],
        "document": _title(indexes, one.doc_id),
        "grades": [(rater or "no name", f"{score:g}") for rater, score in one.grades],
        "address": page.query(one.query_id, one.doc_id),
    }


def _title(indexes: list[ServedIndex], doc_id: str) -> str:
    """Return the title of a document in the first index that has it, or its id."""
    stored = stored_hit(indexes, doc_id)
    if stored is None:
        return doc_id
    served, hit = stored
    return title_of(hit, served.current().index.metadata.text_fields)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _command(rule: Rule) -> str:
    """Return the command that writes judgments by a rule."""
    settled = f" --settled-by {shlex.quote(rule.settled_by)}" if rule.settled_by else ""
    return f"rankfield grades DATA grades.parquet --rule {rule.name}{settled}"
