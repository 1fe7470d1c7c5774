"""The sections of RESULTS.md on curves, contenders, pretrained models and sensitivity."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fair_sets import DEFAULT, GCL, SETS
from page_tables import SPLIT_NAMES, gain, p_value, split_cells

__all__ = ["question_sections"]

Figures = dict[str, Any]

READ = {
    "icecat": "icecat: electronics products by title, human grades",
    "cranfield": "Cranfield: 1,400 abstracts, human grades",
    "small": "Small shop: 264 products by title",
    "luma": "luma: 417 clothes by title and details",
    "grocery": "grocery: 5,421 products by title, of which there are 43",
    "shop": "Sample shop: 20,000 products by title",
}
"""Set → what the text model reads of it."""


def question_sections(results: Path) -> list[str]:
    """Return the sections that there are figures for."""
    parts = []
    makers: dict[str, Callable[[Figures], list[str]]] = {
        "convergence": _convergence,
        "graded": _graded,
        "candidates": _candidates,
        "towers": _towers,
        "pretrained": _pretrained,
        "sensitivity": _sensitivity,
    }
    for name, make in makers.items():
        path = results / f"{name}.json"
        if path.is_file():
            parts.append("\n".join([*make(json.loads(path.read_text("utf-8"))), ""]))
    return parts


def _cells(row: Figures, base: list[float] | None) -> list[str]:
    """Return the four splits' means, with spread and gains, and their mean."""
    return split_cells(row["mean"], row.get("standard_deviation"), base)


def _compared_cells(row: Figures, tests: list[Figures]) -> list[str]:
    """Return `_cells` with the difference of each split to another row, and its p."""
    cells = _cells(row, None)
    for i, test in enumerate(tests):
        cells[i] += f" ({test['difference']:+.3f}, {p_value(test['p'])})"
    return cells


def _convergence(found: Figures) -> list[str]:
    lines = [
        "## Curves: nDCG@10 against steps",
        "",
        "By `python benchmarks/convergence.py`. Each arm begins with the setting that the eight",
        "trials chose, and is trained anew for each length (its decay ends with it); dev chooses",
        "the rate at each length, of GCL also whether pairs are drawn by score or uniformly, of",
        f"{DEFAULT} whether further queries of the batch's documents take part (64 or 0). Three",
        "seeds on test; the gain in brackets is over GCL of the same length. *Stopped on dev* is",
        "the length with the best dev mean.",
        "",
        "![nDCG@10 on test against steps, one panel for each split](results/convergence.svg)",
    ]
    curves = {name: one for name, one in found.items() if len(one["lengths"]) > 1}
    for name, one in curves.items():
        lines += ["", f"### {SETS[name].title}", "", *_curves(one), "", *_stopped(one)]
    if len(curves) < len(found):
        lines += ["", "### What the lists hold: 16 times the steps on variants of that shop", ""]
        lines += [f"| shop | arm | {SPLIT_NAMES} | mean |", "|---" * 7 + "|"]
    for name, one in found.items():
        if name not in curves:
            base = one["arms"][GCL]["points"][-1]["mean"]
            for arm in (GCL, DEFAULT):
                cells = _cells(one["arms"][arm]["points"][-1], None if arm == GCL else base)
                lines.append(f"| {SETS[name].title} | {arm} | {' | '.join(cells)} |")
    return lines


def _curves(found: Figures) -> list[str]:
    """Return each arm at each length."""
    lines = [
        f"| steps | arm | {SPLIT_NAMES} | mean | documents encoded |",
        "|---" * 8 + "|",
    ]
    for place, times in enumerate(found["lengths"]):
        base = found["arms"][GCL]["points"][place]["mean"]
        for arm, curve in found["arms"].items():
            point = curve["points"][place]
            stop = " (stopped on dev)" if curve["stopped"] == times else ""
            steps = found["steps"] * times
            cells = _cells(point, None if arm == GCL else base)
            seen = f"{point['documents'] * steps:,.0f}"
            lines.append(f"| {steps:,} | {arm}{stop} | {' | '.join(cells)} | {seen} |")
    return lines


def _stopped(curves: Figures) -> list[str]:
    """Return each arm at the length where dev stops it."""
    at = {
        arm: curve["points"][curves["lengths"].index(curve["stopped"])]
        for arm, curve in curves["arms"].items()
    }
    lines = [f"| each stopped on dev | steps | {SPLIT_NAMES} | mean |", "|---" * 7 + "|"]
    for arm, point in at.items():
        steps = curves["steps"] * curves["arms"][arm]["stopped"]
        cells = _cells(point, None if arm == GCL else at[GCL]["mean"])
        lines.append(f"| {arm} | {steps:,} | {' | '.join(cells)} |")
    return lines


def _contenders(found: Figures) -> list[str]:
    """Return a table of each set: difference to the default, p uncorrected."""
    lines = []
    for name, figures in found.items():
        lines += ["", f"### {SETS[name].title}", ""]
        lines += [f"| nDCG@10 | {SPLIT_NAMES} | mean | documents | seconds |", "|---" * 8 + "|"]
        rows = figures["rows"]
        for row in sorted(rows, key=lambda one: -sum(rows[one]["mean"])):
            cells = _cells(rows[row], None)
            for i, test in enumerate(rows[row].get("against_default", [])):
                if test["p"] is not None and test["p"] < 0.05:
                    cells[i] += " −" if test["difference"] < 0 else " +"
            cost = f"{rows[row]['documents']:.0f} | {rows[row]['seconds']:.0f}"
            lines.append(f"| {row} | {' | '.join(cells)} | {cost} |")
    return lines


def _graded(found: Figures) -> list[str]:
    return [
        "## Public graded losses",
        "",
        "By `python benchmarks/contenders.py graded`: implemented in `benchmarks/graded/` from",
        "their papers or code (`docs/losses.md`), with the eight trials of the fair comparison",
        "and two settings of their own; on luma and grocery the five that are best on the small",
        "shop. Three seeds on test, sorted by the mean of the splits. + and − mark splits above",
        "and below rankfield's loss with p < .05 (a bootstrap of seeds and queries, not",
        "corrected). Documents are a step's, seconds a training's, the least of three on a busy",
        "core.",
        "",
        *_over_sets(found),
        *_contenders(found),
    ]


def _over_sets(found: Figures) -> list[str]:
    """Return the means of the splits of what was trained on each set, and their mean."""
    rows = [figures["rows"] for figures in found.values()]
    common = [row for row in rows[0] if all(row in one for one in rows)]
    means = {row: [statistics.fmean(one[row]["mean"]) for one in rows] for row in common}
    ours = statistics.fmean(means[DEFAULT])
    lines = [f"| mean of the splits | {' | '.join(found)} | mean of the sets |"]
    lines += ["|---" * (len(found) + 2) + "|"]
    for row in sorted(common, key=lambda one: -sum(means[one])):
        mean = statistics.fmean(means[row])
        cells = [f"{value:.3f}" for value in means[row]]
        behind = "" if row == DEFAULT else f" ({gain(ours, mean)} for {DEFAULT})"
        lines.append(f"| {row} | {' | '.join(cells)} | {mean:.3f}{behind} |")
    return lines


def _candidates(found: Figures) -> list[str]:
    return [
        "## Candidates for ranking new documents",
        "",
        "By `python benchmarks/contenders.py candidates`: rankfield's loss as the fair comparison",
        "tuned it, with one thing added, its strength chosen of two on dev. Signs, documents and",
        "seconds as above.",
        *_contenders(found),
    ]


def _towers(found: Figures) -> list[str]:
    lines = [
        "## Pretrained towers of texts and photos that train",
        "",
        "By `python benchmarks/towers.py`: all-MiniLM-L6-v2 beside EfficientNet-Lite0 at 96",
        "pixels, rankfield's loss as tuned for kept towers, the better of two rates and the share",
        "of the base towers by dev. Three seeds on test; in brackets the difference to the first",
        "row, with its p (a bootstrap of seeds and queries, not corrected).",
        "Kept towers encode every text and photo once; the time is of the steps after that.",
    ]
    for name, one in found.items():
        steps = one["common"]["optimizer.steps"]
        lines += ["", f"### {name.removesuffix('-pretrained')}, {steps} steps", ""]
        lines += [f"| nDCG@10 | {SPLIT_NAMES} | mean | rate | seconds |", "|---" * 8 + "|"]
        for row, figures in one["rows"].items():
            cells = _compared_cells(figures, figures["against_kept"])
            rate = f"{figures['settings']['optimizer.learning_rate']:g}"
            lines.append(f"| {row} | {' | '.join(cells)} | {rate} | {figures['seconds']:.0f} |")
    return lines


def _pretrained(found: Figures) -> list[str]:
    lines = [
        "## From a pretrained model: beside where it began",
        "",
        "By `python benchmarks/pretrained.py`: all-MiniLM-L6-v2 with what `rankfield recipe",
        "--encoder` writes, in bfloat16; nothing is tuned. Dev is measured before the first step",
        "and five times on the way; the best model is kept, and mixed with the base model by the",
        "share that dev chooses (`average.wise`). Three seeds on test, two of the shop of 20,000",
        "products. In brackets the difference to the untrained model, with its p (a bootstrap of",
        "seeds and queries, not corrected).",
    ]
    for name, figures in found.items():
        lines += ["", f"### {READ[name]}", ""]
        lines += [f"| nDCG@10 | {SPLIT_NAMES} | mean | seconds |", "|---" * 7 + "|"]
        for row, one in figures["rows"].items():
            cells = _compared_cells(one, one.get("against_untrained", []))
            seconds = f"{one['seconds']:.0f}" if "seconds" in one else ""
            lines.append(f"| {row} | {' | '.join(cells)} | {seconds} |")
    return lines


def _sensitivity(found: Figures) -> list[str]:
    arms = list(found["cells"][0]["arms"])
    lines = [
        "## Other lists, grades, noise, batches and widths",
        "",
        "By `python benchmarks/sensitivity.py`: a shop of 1,000 products by title alone, trained",
        "from scratch; one thing at a time differs from the base, but for the rows of 5,000",
        "products, which have 2,500 queries and two epochs. Judgments are changed in training",
        "only: test has the whole lists with their exact scores. Mean nDCG@10 of the four splits,",
        "three seeds; in brackets the gain of `rankfield recipe` over that arm, with \\* where",
        "p < .05 (a bootstrap of seeds and queries, not corrected).",
        "",
        f"| | {' | '.join(arms)} |",
        "|---" * (len(arms) + 1) + "|",
    ]
    for cell in found["cells"]:
        shown = []
        ours = sum(cell["arms"][arms[0]]["mean"])
        for arm in arms:
            one = cell["arms"][arm]
            text = f"{sum(one['mean']) / 4:.3f} ± {one['standard_deviation']:.3f}"
            test = one.get("recipe_minus_this")
            if test is not None:
                star = " \\*" if test["p"] < 0.05 else ""
                text += f" ({gain(ours, sum(one['mean']))}{star})"
            shown.append(text)
        lines.append(f"| {cell['factor']}: {cell['level']} | {' | '.join(shown)} |")
    return lines
