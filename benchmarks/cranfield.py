"""Reads the Cranfield collection (cran.all.1400, cran.qry, cranqrel) into three tables.

Cleverdon's collection (1967) is served by many mirrors, as three text files. A judgment says 1
(a complete answer) to 4 (of little interest), or -1 or 5 (none): the score is 4 to 1, or 0.
Judgments name queries by their place in the file, not by its numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["cranfield_tables"]

WORDS = 24
"""Of an abstract, which begins with its title: a step on a processor takes a second."""


def cranfield_tables(source: Path, out: Path) -> None:
    """Write documents.csv, queries.csv and judgments.csv into a new folder `out`."""
    out.mkdir(parents=True)
    documents = [(n, _words(text, WORDS)) for n, text in _records(source / "cran.all.1400")]
    queries = [
        (str(i), _words(text)) for i, (_, text) in enumerate(_records(source / "cran.qry"), 1)
    ]
    _write(out / "documents.csv", ("doc_id", "text"), documents)
    _write(out / "queries.csv", ("query_id", "query"), queries)
    lines = [line.split() for line in (source / "cranqrel").read_text("utf-8").splitlines()]
    scores = {(w[0], w[-2]): max(5 - int(w[-1]), 0) if int(w[-1]) > 0 else 0 for w in lines if w}
    known = {number for number, _ in documents}
    rows = [(q, d, score) for (q, d), score in scores.items() if d in known]
    _write(out / "judgments.csv", ("query_id", "doc_id", "score"), rows)


def _records(path: Path) -> Iterator[tuple[str, str]]:
    """Yield number and text (.W) of each record that has a text."""
    for record in re.split(r"^\.I ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        number = record.split(maxsplit=1)[0]
        text = re.split(r"^\.W$", record, flags=re.MULTILINE)[-1].strip()
        if text:
            yield number, text


def _words(text: str, most: int | None = None) -> str:
    return " ".join(text.split()[:most])


def _write(path: Path, head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
