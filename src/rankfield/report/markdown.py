"""The report as Markdown: the same figures as the page, without images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import tomli_w

from rankfield.escaping import fenced_code, markdown_text, yaml_value
from rankfield.evaluation.statistics import SIGNIFICANT
from rankfield.report.content import Content
from rankfield.report.examples import Example
from rankfield.report.numbers import PRIMARY, Cell, about_tests
from rankfield.report.rank_scores import RISES, rises_above
from rankfield.report.style import SPLIT_TITLES, decimal, p_value, signed, signed_percent
from rankfield.terminal import printable_values

__all__ = [
    "dev_table",
    "front_matter",
    "markdown_recipe",
    "markdown_table",
    "render_markdown",
    "splits_table",
]


def render_markdown(content: Content) -> str:
    """Return the report as GitHub-flavoured Markdown; the same content gives the same text."""
    parts = [f"# {markdown_text(content.title)}", *map(markdown_text, content.summary), "## Result"]
    parts.append(splits_table(content))
    if len(content.names) > 1:
        baseline = markdown_text(content.names[0])
        parts.append(
            f"In brackets 95 % intervals; gains over {baseline} with the mean "
            "difference over the same queries and a p, corrected by Holm’s method. "
            f"{about_tests(content.rows)} “Not clear”: p is {SIGNIFICANT} or more."
        )
    if content.pairs:
        parts += ["## Against each baseline", _pairs(content)]
    parts += ["## Every metric", _every_metric(content)]
    parts += _rank_scores(content) + _slices(content) + _robustness(content)
    if content.extremes:
        first, last = content.names[0], content.names[-1]
        parts.append(f"## Queries that {markdown_text(last)} wins and loses by most")
        parts.append(_extremes(content.extremes, first, last))
    parts += ["## How it was made", _facts(content)]
    parts.append(f"Made with rankfield {content.version}.")
    return "\n\n".join(parts) + "\n"


def splits_table(content: Content) -> str:
    """Return the table of splits and models with intervals, gains and tests."""
    rows = []
    for row in content.rows:
        size = f"{row.queries:,}" + ("" if row.documents is None else f" over {row.documents:,}")
        rows.append([markdown_text(row.title), size, *map(_cell, row.cells)])
    head = [PRIMARY, "queries over documents", *map(markdown_text, content.names)]
    return markdown_table(head, rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the cells are Markdown already, the first column is to the left."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def dev_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table of `training.dev_course.dev_rows`, "" of none."""
    if not rows:
        return ""
    columns = list(next(iter(rows.values())))
    head = ["nDCG@10 on the dev queries", *map(markdown_text, columns)]
    cells = [[name, *(decimal(row.get(c), 4) for c in columns)] for name, row in rows.items()]
    return markdown_table(head, cells)


def front_matter(values: Mapping[str, Any]) -> str:
    """Return the YAML head of a card: each value as JSON, which YAML contains."""
    return "\n".join(["---", *(f"{key}: {yaml_value(v)}" for key, v in values.items()), "---"])


def markdown_recipe(recipe: Mapping[str, Any]) -> str:
    """Return a recipe as a block of TOML; a foreign text in it does not end the block."""
    return fenced_code(printable_values(tomli_w.dumps(dict(recipe)), "toml"), "toml")


def _pairs(content: Content) -> str:
    rows = [
        [
            _split(row.split),
            f"{markdown_text(row.name)} − {markdown_text(row.against)}",
            signed(row.difference)
            + ("" if row.low is None else f" ({signed(row.low)} to {signed(row.high)})"),
            "–" if row.p_value is None else p_value(row.p_value),
            f"{row.better:,}, {row.worse:,}, {row.equal:,}",
        ]
        for row in content.pairs
    ]
    head = ["split", "pair", f"{PRIMARY}, 95 % interval", "p", "better, worse, equal"]
    return f"{markdown_table(head, rows)}\n\nThe p are corrected by Holm’s method over this table."


def _split(split: str) -> str:
    return SPLIT_TITLES.get(split) or markdown_text(split)


def _cell(cell: Cell) -> str:
    parts = [decimal(cell.value)]
    if cell.low is not None:
        parts.append(f"({decimal(cell.low)} to {decimal(cell.high)})")
    if cell.gain is not None:
        parts.append(f"**{signed_percent(cell.gain)}**")
    if cell.p_value is not None:
        doubt = "" if cell.clear else ", not clear"
        parts.append(f"{signed(cell.difference)}, {p_value(cell.p_value)}{doubt}")
    return " ".join(parts)


def _every_metric(content: Content) -> str:
    rows = [
        [markdown_text(title), markdown_text(name), *(decimal(value, 4) for value in values)]
        for title, name, values in content.every_metric
    ]
    return markdown_table(["split", "metric", *map(markdown_text, content.names)], rows)


def _rank_scores(content: Content) -> list[str]:
    if not content.rank_scores:
        return []
    rows = []
    for scores in content.rank_scores:
        title = _split(scores.split)
        curves = {"best possible": scores.ideal, **scores.models}
        for name, values in curves.items():
            shown = [decimal(values[r - 1], 2) if r <= len(values) else "–" for r in _RANKS]
            rows.append([title, markdown_text(name), *shown])
    head = ["split", "model", *(f"rank {rank}" for rank in _RANKS)]
    why = [RISES] if rises_above(content.rank_scores) else []
    return ["## Mean score by rank", markdown_table(head, rows), *why]


_RANKS = (1, 2, 3, 5, 10, 20)


def _slices(content: Content) -> list[str]:
    parts = []
    for table in content.slices:
        rows = [
            [
                _split(split),
                markdown_text(name),
                f"{means[0].queries:,}",
                *(
                    decimal(m.value)
                    + ("" if m.low is None else f" ({decimal(m.low)} to {decimal(m.high)})")
                    for m in means
                ),
            ]
            for split, name, means in table.rows
        ]
        head = ["split", "slice", "queries", *map(markdown_text, content.names)]
        parts += [f"## {markdown_text(table.title)}", markdown_table(head, rows)]
    return parts


def _robustness(content: Content) -> list[str]:
    if not content.robustness:
        return []
    rows = []
    for split, group in groupby(content.robustness, key=lambda row: row.split):
        for row in group:
            values = [decimal(value) for value in row.values]
            rows.append([_split(split), markdown_text(row.field or "nothing"), *values])
    head = ["split", "missing", *map(markdown_text, content.names)]
    return ["## When a field is missing", markdown_table(head, rows)]


def _extremes(examples: Sequence[Example], first: str, last: str) -> str:
    rows = [
        [
            markdown_text(example.text or example.query_id),
            _split(example.split),
            signed(example.difference),
            *("; ".join(markdown_text(d.title) for d in c.documents[:3]) for c in example.columns),
            "; ".join(markdown_text(d.title) for d in example.ideal[:3]),
        ]
        for example in examples
    ]
    head = [
        "query",
        "split",
        PRIMARY,
        *(f"{markdown_text(n)} finds" for n in (first, last)),
        "best",
    ]
    return markdown_table(head, rows)


def _facts(content: Content) -> str:
    runs = [(f"Training of {name}", text) for name, text in content.runs.items()]
    return "\n".join(
        f"- {markdown_text(name)}: {markdown_text(value)}"
        for name, value in [*content.facts, *runs]
    )
