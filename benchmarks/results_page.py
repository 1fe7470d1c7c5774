"""Writes RESULTS.md from the figures in results/.

python benchmarks/results_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ORDER = ("shop", "luma", "grocery", "icecat")
TITLES = {
    "shop": "Sample shop: 3,000 products, photo and title, all from scratch",
    "luma": "luma: 417 clothes, photo, title and details, split by style",
    "grocery": "grocery: 5,421 photos from shops",
    "icecat": "icecat: 19,406 electronics products by title, human grades",
}
HEAD = """# Results

Written by `python benchmarks/results_page.py` from `benchmarks/results/`; each section comes from
one command, `python benchmarks/main_job.py SET`. Test queries, exact search over the whole corpus
of the split. Trained rows are means over three seeds, where nothing else is said, ± standard
deviation: same encoder, data, batches and optimiser steps. Learning rate, CLIP's score threshold
and GCL's weight function are chosen on the dev queries with one seed, as many settings for the
threshold as for the weights. The gain in brackets is over CLIP on all judged pairs.
"""


def main() -> None:
    """Write the page."""
    found = [json.loads((HERE / "results" / f"{name}.json").read_text("utf-8")) for name in known()]
    parts = [HEAD, *(section(results) for results in found)]
    (HERE / "RESULTS.md").write_text("\n".join(parts), "utf-8")


def known() -> list[str]:
    """Return the sets that have figures, in the page's order."""
    return [name for name in ORDER if (HERE / "results" / f"{name}.json").is_file()]


def section(results: dict[str, Any]) -> str:
    """Return one set's tables."""
    rows = results["rows"]
    lines = [f"## {TITLES[results['set']]}", ""]
    if results["notes"]:
        lines += [results["notes"], ""]
    lines += table(results, "ndcg@10")
    for metric in ("err@10", "rbp@10", "mrr@10"):
        lines += ["", f"<details><summary>{metric}</summary>", "", *table(results, metric)]
        lines += ["", "</details>"]
    whole = results["untrained_whole_corpus"]
    if whole:
        figure = f"NDCG@10 {whole['value']:.3f} ({whole['queries']} queries)"
        lines += [
            "",
            f"all-MiniLM-L6-v2 untrained, over the whole corpus without splits: {figure}.",
        ]
    lines += ["", "Chosen on dev:", ""]
    for name, row in rows.items():
        if "settings" in row:
            chosen = ", ".join(f"{k} = {v}" for k, v in row["settings"].items() if v != {})
            lines.append(f"- {name}: `{chosen}`")
    data = results["dataset"]
    lines += [
        "",
        f"Recipe `{results['recipe']}`, data fingerprint `{data['fingerprint']}`, "
        f"rankfield {results['rankfield']}.",
        "",
    ]
    return "\n".join(lines)


def table(results: dict[str, Any], metric: str) -> list[str]:
    """Return one metric's table, with gains over CLIP on all judged pairs."""
    splits = [split.replace("_", " ") for split in results["splits"]]
    lines = [f"| {metric} | {' | '.join(splits)} |", "|---|" + "---|" * len(splits)]
    base = next(v for k, v in results["rows"].items() if k.startswith("CLIP, all"))[metric]["mean"]
    for name, row in results["rows"].items():
        means = row[metric]["mean"]
        deviations = row[metric].get("standard_deviation", [None] * len(means))
        cells = []
        for mean, deviation, first in zip(means, deviations, base, strict=True):
            text = f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"
            if "settings" in row and means is not base:
                text += f" ({100 * (mean / first - 1):+.1f} %)"
            cells.append(text)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
