"""What `rankfield search` prints of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rankfield.terminal import cell, console, echo, one_line, printable_values

if TYPE_CHECKING:
    from rankfield.query import Answer, Term

__all__ = ["show_answer", "show_answer_json"]

_MARGIN = 2


def show_answer_json(answer: Answer) -> None:
    """Print the whole answer as JSON."""
    import json

    echo(printable_values(json.dumps(answer.to_json(), indent=2, ensure_ascii=False), "json"))


def show_answer(answer: Answer, texts: Iterable[str]) -> None:
    """Print the hits as a table, then facets and explanations.

    Args:
        answer: what was found.
        texts: the stored columns to show.
    """
    from rich.table import Table

    frame = answer.frame()
    names = dict(zip(answer.documents.columns, frame.columns[3:], strict=True))
    shown = [names[name] for name in ("doc_id", *texts)]
    scored = any(hit.score != hit.similarity for hit in answer.hits)
    grouped = any(hit.others is not None for hit in answer.hits)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("rank", "score", "similarity") if scored else ("rank", "similarity"):
        table.add_column(name, justify="right")
    for name in shown:
        table.add_column(cell(name))
    if grouped:
        table.add_column("others", justify="right")
    for hit, row in zip(answer.hits, frame.iter_rows(named=True), strict=True):
        scores = [hit.score, hit.similarity] if scored else [hit.similarity]
        values = [str(hit.rank), *(f"{score:.4f}" for score in scores)]
        values += [row[name] or "" for name in shown]
        table.add_row(*map(cell, values + ([str(hit.others)] if grouped else [])))
    console().print(table)
    for name, facet in answer.facets.items():
        counts = [f"{_value(value)} {count:,}" for value, count in facet.values]
        rest = [f"others {facet.others:,}"] if facet.others else []
        echo(one_line(f"{name}: {', '.join(counts + rest)}"))
    for hit in answer.hits:
        if hit.explanation is not None:
            echo(one_line(f"{hit.rank} {hit.doc_id}: {hit.score:.6f}"))
            for line in _lines(hit.explanation.terms, 1):
                echo(line)
            for note in hit.explanation.notes:
                echo(one_line(f"{' ' * _MARGIN}({note})"))


def _lines(terms: Iterable[Term], depth: int) -> Iterator[str]:
    """Yield the terms that add up to a value, one per line, those that they are made of below."""
    for term in terms:
        about = {name: value for name, value in term.notes.items() if value is not None}
        if term.kind == "arm" and term.terms:
            about = {"similarity" if term.name == "vector" else "BM25": term.value, **about}
        notes = ", ".join(f"{name} {_value(value)}" for name, value in about.items())
        text = f"{' ' * _MARGIN * depth}{term.adds:+.6f}  {term.kind} {term.name}"
        yield one_line(f"{text} ({notes})" if notes else text)
        yield from _lines(term.terms, depth + 1)


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
