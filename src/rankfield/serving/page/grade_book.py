"""Who judged what: read from the file of judgments, which is the only place where it is kept."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from rankfield.parsing import parse_json
from rankfield.serving.acts import Act, Acts, Grades
from rankfield.serving.journal import whole_lines

__all__ = ["GradeBook"]


class GradeBook:
    """What the lines of a file of judgments come to.

    Lines are only added to the file: each look reads those that are new, whoever wrote them. An
    "undo" line takes back the judgment that it names.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.RLock()
        self._clear()

    def _clear(self) -> None:
        self._read = 0
        self._acts = Acts()
        self._changed()

    def _changed(self) -> None:
        self._counts: Mapping[str, Mapping[str, int]] | None = None
        self._grades: Grades | None = None

    def of(self, rater: str, query_id: str) -> dict[str, Act]:
        """Return the last judgment of each document of a query by a rater."""
        with self._lock:
            self._refresh()
            acts = self._acts.of(rater)
            return {one.doc_id: one for one in acts if one.query_id == query_id}

    def judged_queries(self, rater: str) -> set[str]:
        """Return the queries of which a rater has judged a document."""
        with self._lock:
            self._refresh()
            return {one.query_id for one in self._acts.of(rater)}

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return rater → query → how many documents have a judgment."""
        with self._lock:
            self._refresh()
            if self._counts is None:
                self._counts = {
                    rater: Counter(query for query, _ in {one.pair for one in acts})
                    for rater, acts in self._acts.raters.items()
                }
            return self._counts

    def grades(self) -> Grades:
        """Return the grades of each pair (`Acts.grades`)."""
        with self._lock:
            self._refresh()
            if self._grades is None:
                self._grades = self._acts.grades()
            return self._grades

    def undo(
        self, rater: str, write: Callable[[Act, Act | None], None]
    ) -> tuple[Act | None, Act | None]:
        """Take back the last judgment of a rater.

        Args:
            rater: who.
            write: adds the line, given what is taken back and what counts in its place.

        Returns:
            What was taken back, None if there was nothing; and what counts in its place, or None.
        """
        with self._lock:
            self._refresh()
            acts = self._acts.of(rater)
            if not acts:
                return None, None
            last, rest = acts[-1], acts[:-1]
            before = next((one for one in rest[::-1] if one.pair == last.pair), None)
            write(last, before)
            self._refresh()
            return last, before

    def _refresh(self) -> None:
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._read:  # lines that could not be made durable are gone
                    self._clear()
                file.seek(self._read)
                for line in whole_lines(file):
                    self._add(line)
                    self._read += len(line)
                    self._changed()
        except FileNotFoundError:
            return

    def _add(self, line: bytes) -> None:
        try:
            self._acts.add(parse_json(line.decode()))
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # `latest_judgments` says which line
