"""The judgments that count: what each rater said, after what was taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Act", "Acts", "Grades", "Pair"]

Pair = tuple[str, str]
"""query_id, doc_id."""


@dataclass(frozen=True)
class Act:
    """A judgment of a rater; without a score the rater could not say.

    number: its place among all lines.
    rater: "" where none was named.
    query: the query's text, if it was given.
    """

    number: int
    judgment_id: str
    rater: str
    query_id: str
    doc_id: str
    score: float | None
    query: str | None

    @property
    def pair(self) -> Pair:
        """Query and document."""
        return self.query_id, self.doc_id


Grades = Mapping[Pair, Sequence[Act]]
"""The grades of each judged pair (`Acts.grades`)."""


class Acts:
    """Judgments, added line by line; an "undo" line removes the one that it names."""

    def __init__(self) -> None:
        self._of: defaultdict[str, list[Act]] = defaultdict(list)
        self._lines = 0

    def add(self, line: Any) -> None:
        """Add what a line holds.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is no judgment.
        """
        rater = str(line.get("rater") or "")
        if line.get("verdict") == "undo":
            undone, acts = line["undoes"], self._of[rater]
            if acts and acts[-1].judgment_id == undone:
                acts.pop()
            else:
                self._of[rater] = [one for one in acts if one.judgment_id != undone]
        else:
            text = line.get("query")
            self._of[rater].append(
                Act(
                    number=self._lines,
                    judgment_id=str(line.get("judgment_id")),
                    rater=rater,
                    query_id=str(line["query_id"]),
                    doc_id=str(line["doc_id"]),
                    score=None if line["score"] is None else float(line["score"]),
                    query=text if isinstance(text, str) else None,
                )
            )
        self._lines += 1

    @property
    def raters(self) -> Mapping[str, Sequence[Act]]:
        """All judgments of each rater, the oldest first."""
        return {rater: acts for rater, acts in self._of.items() if acts}

    def of(self, rater: str) -> Sequence[Act]:
        """Return all judgments of a rater, the oldest first."""
        return self._of.get(rater, ())

    def grades(self) -> dict[Pair, list[Act]]:
        """Return the grades of each pair: the last word of each rater, unless it is "cannot say".

        Pairs come in the order in which they were judged first, the grades of one as they were
        given. Pairs without a grade are left out.
        """
        everything = [one for acts in self._of.values() for one in acts]
        last: dict[Pair, dict[str, Act]] = {}
        for one in sorted(everything, key=lambda act: act.number):
            by = last.setdefault(one.pair, {})
            by.pop(one.rater, None)  # the last word comes last
            by[one.rater] = one
        graded = {
            pair: [one for one in by.values() if one.score is not None] for pair, by in last.items()
        }
        return {pair: acts for pair, acts in graded.items() if acts}
