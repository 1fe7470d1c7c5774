"""The sections of RESULTS.md on the fair comparison and what follows from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fair_sets import CLIP, DEFAULT, FAIR, GCL, PRETRAINED, SETS, THRESHOLD
from page_tables import SPLIT_NAMES, gain, p_value, split_cells
from rankfield.evaluation.statistics import holm

__all__ = ["fair_sections"]

Figures = dict[str, Any]

LIMIT = "What is shown, without chance (`benchmarks/ceiling.py`)"

FAIR_HEAD = """## The fair comparison

Every arm has the same eight trials: four ways of drawing batches (uniform pairs, pairs by score,
balanced groups of 4, stratified groups of 4), each with two scales and rates, and two weights or
thresholds in turn. They run with seed 100 on dev; the best is trained with the seeds named below
and measured on test, over the whole corpus of each split. Unseen documents have a dev and a test
half as queries have, so that no choice saw what "novel document" is measured on. *In domain* are
queries and documents that training has seen, with their judgments. ± is the standard deviation
over seeds, the gain in brackets is over GCL. Tests are a bootstrap of seeds and queries; p is
corrected by Holm's method over a set's table. Sets, arms and trials were fixed in writing before
anything was trained; `loss.margin_mse` joined the shop's arm later, chosen on dev of a smaller shop
and of this one (docs/log.md). Documents, queries and judged pairs are those of a step."""


PRETRAINED_HEAD = """## From pretrained towers that are kept

By `python benchmarks/fair.py luma-pretrained grocery-pretrained`, with `PYTHONPATH=benchmarks`: the
same comparison with heads on all-MiniLM-L6-v2 and EfficientNet-Lite0, whose weights stay as they
are (`recipes/*-pretrained.toml`); three seeds on test."""


def fair_sections(results: Path) -> list[str]:
    """Return the sections that there are figures for."""
    parts = [_section(FAIR_HEAD, FAIR, results), _section(PRETRAINED_HEAD, PRETRAINED, results)]
    return [part for part in parts if part]


def _section(head: str, names: tuple[str, ...], results: Path) -> str:
    found = {
        name: json.loads((results / f"fair_{name}.json").read_text("utf-8"))
        for name in names
        if (results / f"fair_{name}.json").is_file()
    }
    if not found:
        return ""
    ceiling = results / "ceiling.json"
    if ceiling.is_file():
        limit = json.loads(ceiling.read_text("utf-8"))
        if limit["set"] in found:
            row = {"nDCG@10": {"mean": limit["nDCG@10"]}}
            found[limit["set"]]["rows"] = {LIMIT: row, **found[limit["set"]]["rows"]}
    parts = [head, "", *_summary(found), ""]
    for name, figures in found.items():
        parts += [f"### {SETS[name].title}", "", *_table(figures), "", *_tests(figures), ""]
        parts += [*_settings(figures), ""]
    return "\n".join(parts)


def _summary(found: dict[str, Figures]) -> list[str]:
    """Return the gains of the default over GCL, set by set."""
    lines = [
        f"| {DEFAULT} over GCL, both tuned | {SPLIT_NAMES} | mean |",
        "|---" * 6 + "|",
    ]
    gains, whole = [], []
    for name, figures in found.items():
        ours, theirs = (_means(figures, row) for row in (DEFAULT, GCL))
        gains.append([a / b - 1 for a, b in zip(ours, theirs, strict=True)])
        whole.append(sum(ours) / sum(theirs) - 1)
        adjusted = _adjusted(figures)
        cells = [
            gain(a, b) + ("" if adjusted[GCL, i] >= 0.05 else " \\*")
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {gain(sum(ours), sum(theirs))} |")
    columns = [*zip(*gains, strict=True), whole]
    cells = [f"{100 * sum(column) / len(column):+.1f} %" for column in columns]
    lines.append(f"| **mean of the sets** | {' | '.join(cells)} |")
    return [*lines, "", "\\* p < .05 after Holm's correction over the set's table."]


def _means(figures: Figures, row: str) -> list[float]:
    means: list[float] = figures["rows"][row]["nDCG@10"]["mean"]
    return means


def _table(figures: Figures) -> list[str]:
    lines = [
        f"| nDCG@10 | {SPLIT_NAMES} | mean | documents | queries | pairs |",
        "|---" * 9 + "|",
    ]
    base = _means(figures, GCL)
    for name, row in figures["rows"].items():
        spread = row["nDCG@10"].get("standard_deviation")
        compared = spread is not None and name != GCL
        cells = split_cells(_means(figures, name), spread, base if compared else None)
        cost = [
            f"{row[key]:.0f}" if key in row else "" for key in ("documents", "queries", "pairs")
        ]
        bold = "**" if name == DEFAULT else ""
        lines.append(f"| {bold}{name}{bold} | {' | '.join([*cells, *cost])} |")
    return lines


def _adjusted(figures: Figures) -> dict[tuple[str, int], float]:
    """Return (other row, split) → p of the default's difference, by Holm over the table."""
    tests = figures["rows"][DEFAULT]["against"]
    keys = [(other, i) for other in tests for i in range(4)]
    p_values = holm([tests[other][i]["p"] for other, i in keys])
    return dict(zip(keys, p_values.tolist(), strict=True))


def _tests(figures: Figures) -> list[str]:
    lines = [
        f"| {DEFAULT} against | split | difference | 95 % interval | p |",
        "|---" * 5 + "|",
    ]
    tests, adjusted = figures["rows"][DEFAULT]["against"], _adjusted(figures)
    for other in (row for row in (GCL, THRESHOLD, CLIP) if row in tests):
        for i, split in enumerate(figures["splits"]):
            one = tests[other][i]
            lines.append(
                f"| {other} | {split.replace('_', ' ')} | {one['difference']:+.3f} "
                f"| {one['low']:+.3f} … {one['high']:+.3f} | {p_value(adjusted[other, i])} |"
            )
    return ["<details><summary>Tests</summary>", "", *lines, "", "</details>"]


def _settings(figures: Figures) -> list[str]:
    rows = [(name, row["settings"]) for name, row in figures["rows"].items() if "settings" in row]
    lines = [f"- {name}: `{_listed(settings)}`" for name, settings in rows]
    common = _listed(figures["common"])
    seeds = ", ".join(map(str, figures["seeds"]))
    recipe = SETS[figures["set"]].recipe
    return [
        "<details><summary>Settings chosen on dev</summary>",
        "",
        *lines,
        "",
        f"All rows: `recipes/{recipe}.toml` with `{common}`; seeds {seeds}; data fingerprint "
        f"{figures['fingerprint']}.",
        "",
        "</details>",
    ]


def _listed(settings: Figures) -> str:
    return ", ".join(f"{k} = {_shown(v)}" for k, v in settings.items())


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
