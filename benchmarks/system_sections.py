"""The sections of RESULTS.md beside those of quality.py, of what is not about losses alone."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["clip", "drop_in", "system_sections", "training"]

Found = dict[str, Any]

_METHODS = {
    "rankfield": "rankfield",
    "rankfield-float32": "rankfield, float32 throughout",
    "script-default": "(a) the script, a cosine call per query",
    "script-faiss": "(b) the script's faiss path",
    "faiss": "(c) faiss, flat search alone",
    "rankfield-file": "rankfield",
    "rankfield-file-float32": "rankfield, float32 throughout",
}


def system_sections(folder: Path) -> list[str]:
    """Return the sections whose benchmark was run."""
    writers: dict[str, Callable[[Found], list[str]]] = {
        "marqo_gs": _published_script,
        "evaluation": _evaluation,
        "loss": _loss,
        "labels": _labels,
        "curation": _curation,
        "drop_in": drop_in,
        "embedding": _embedding,
        "embedding_bfloat16": partial(_embedding, heading="Embedding on a CPU in bfloat16"),
        "publish": _publish,
        "training": training,
        "training_large": partial(training, heading="Training on a CPU in batches of thousands"),
        "clip": clip,
        "index_search": _index_search,
    }
    sections = []
    for name, write in writers.items():
        path = folder / f"{name}.json"
        if path.is_file():
            lines = write(json.loads(path.read_text("utf-8")))
            sections.append("\n".join([*lines, ""]))
    return sections


def _published_script(found: Found) -> list[str]:
    lines = [
        "## The published evaluation of GCL",
        "",
        "`python benchmarks/marqo_gs.py --script …` runs GCL's `eval_gs_v1.py` and `--protocol "
        "marqo-gs` on the same scores and embeddings; each samples the queries, makes the ground "
        "truth, searches and measures by itself. Compared is every figure that the script writes. "
        "Seconds are processor time of the metrics alone.",
        "",
        "| case | queries | documents | nDCG@10 | mERR | mRBP9 | largest difference of any figure "
        "| seconds, script | seconds, ours | |",
        "|---" * 10 + "|",
    ]
    for case in found["cases"]:
        theirs, ours = case["metric_seconds"]
        ours_of = {name: value for name, (_, value) in case["summary"].items()}
        cells = " | ".join(f"{ours_of[name]:.5f}" for name in ("NDCG@10", "mERR", "mRBP9"))
        lines.append(
            f"| {case['name']} | {case['queries']:,} | {case['documents']:,} | {cells} "
            f"| {case['largest_difference']:.0e} of {case['figures']} | {theirs:.2f} | {ours:.3f} "
            f"| × {theirs / ours:.0f} |"
        )
    return lines


def _evaluation(found: Found) -> list[str]:
    lines = ["## Evaluation: time and memory", ""]
    if record := found.get("comparison"):
        size = record["size"]
        lines += [
            f"`python benchmarks/evaluation.py --script …`: {size['queries']:,} queries × "
            f"{size['documents']:,} documents × {size['width']}, top {size['top']:,}, "
            f"{record['made']['threads']} threads, all methods in one run, medians of "
            f"{len(record['methods']['rankfield']['rounds'])} rounds. (a) is extrapolated from "
            "some of the queries. Memory is what a method needs beside its input.",
            "",
            "| method | search, s | metrics, s | all, s | extra MiB |",
            "|---" * 5 + "|",
            *_rows(record),
            "",
            *(f"- {name}: × {ratio:,.2f}" for name, ratio in record["ratios"].items()),
            f"- {record['figures']['compared']} figures of the script compared: at most "
            f"{record['figures']['largest_difference']:.0e} apart",
            "",
        ]
    if record := found.get("five_million"):
        size = record["size"]
        lines += [
            f"`--five-million`: {size['documents']:,} documents in a memory-mapped file; the peak "
            "is of the whole process.",
            "",
            "| method | search, s | peak MiB | extra MiB |",
            "|---" * 4 + "|",
        ]
        for name, method in record["methods"].items():
            lines.append(
                f"| {_METHODS.get(name, name)} | {method['seconds']['search']:,.1f} "
                f"| {method['peak_mib']:,.0f} | {method['extra_mib']:,.0f} |"
            )
    return lines


def _rows(record: Found) -> list[str]:
    rows = []
    for name, method in record["methods"].items():
        seconds = method["seconds"]
        metrics = f"{seconds['metrics']:,.3f}" if "metrics" in seconds else "–"
        rows.append(
            f"| {_METHODS.get(name, name)} | {seconds['search']:,.2f} | {metrics} "
            f"| {method['total']:,.2f} | {method['extra_mib']:,.0f} |"
        )
    return rows


def _loss(found: Found) -> list[str]:
    settings = found["settings"]
    lines = [
        "## The loss of large batches: time and memory",
        "",
        f"`python benchmarks/loss.py`: forward and backward in float32, width {settings['width']}, "
        f"{settings['threads']} threads, {settings['processor']}; all arms in turns in every "
        "round, medians with the least and the most. × is how often an arm's median goes into "
        "that of open_clip's form. Memory is the peak of a process beyond its inputs, the "
        "gradients included. Tiled: no logits are kept for backward; default: as many as the "
        "default budget allows; kept: all of them.",
    ]
    for size, arms in found["sizes"].items():
        base, *_ = (statistics.median(arm["seconds"]) for arm in arms.values())
        lines += ["", f"{int(size):,} pairs:", "", "| loss | seconds | × | MiB |", "|---" * 4 + "|"]
        for name, arm in arms.items():
            seconds = arm["seconds"]
            middle = statistics.median(seconds)
            lines.append(
                f"| {name} | {middle:.3g} ({min(seconds):.3g} to {max(seconds):.3g}, "
                f"{len(seconds)} rounds) | {base / middle:.2f} | {arm['mib']:,.0f} |"
            )
    return lines


def _labels(found: Found) -> list[str]:
    lines = [
        "## Labels from clicks",
        "",
        "`python benchmarks/labels.py`: Kendall's τ between the scores of simulated logs and the "
        "true relevance, mean over queries and 3 seeds ± standard deviation over seeds.",
    ]
    plain = ("sessions_per_query", "bias")
    for key in ("bias", "sessions"):
        cases = found.get(key, [])
        if not cases:
            continue
        methods = [method for method in cases[0] if method not in plain]
        head = f"| sessions a query | bias η | {' | '.join(methods)} |"
        lines += ["", head, "|---" * (len(methods) + 2) + "|"]
        for case in cases:
            cells = [f"{case[m]['mean']:.3f} ± {case[m]['sd']:.3f}" for m in methods]
            first = f"{case['sessions_per_query']:,} | {case['bias']:g}"
            lines.append(f"| {first} | {' | '.join(cells)} |")
    return lines


def _curation(found: Found) -> list[str]:
    lines = [
        "## Curation at scale",
        "",
        f"`python benchmarks/curation.py`: {found['documents']:,} documents, "
        f"{found['queries']:,} queries, {found['judgments']:,} judgments (sample shops without "
        f"photos), {found['cores']} cores, engine {found['engine']}; each stage is a command of "
        "its own. The last row is the same split written plainly in pandas.",
        "",
        "| stage | seconds | processor seconds | peak GiB |",
        "|---" * 4 + "|",
    ]
    for stage in (*found["stages"], found["pandas"]):
        lines.append(
            f"| {stage['name']} | {stage['seconds']:,.1f} | {stage['cpu_seconds']:,.1f} "
            f"| {stage['gib']:.2f} |"
        )
    lines += ["", f"The chain: {found['seconds']:,.1f} s, at most {found['gib']:.2f} GiB."]
    return lines


def drop_in(found: Found) -> list[str]:
    """Return the section of `drop_in.py`."""
    settings = found["settings"]
    rates, scales = (", ".join(f"{x:g}" for x in settings[k]) for k in ("learning_rates", "scales"))
    lines = [
        "## In the trainer of sentence-transformers",
        "",
        f"`python benchmarks/drop_in.py`: all-MiniLM-L6-v2 on titles, {settings['steps']} steps of "
        f"{settings['batch']} rows; each arm tuned over the learning rates {rates} × the scales "
        f"{scales} with seed 0 on dev; nDCG@10 on the test queries, mean ± standard deviation of "
        f"{settings['seeds']} seeds, among the judged documents and {settings['others']:,} others. "
        "MultipleNegativesRankingLoss gets the relevant pairs, the "
        "others all judged ones. Steps per second are medians of "
        f"{settings['rounds']} rounds in which the arms take turns; texts are those that a step "
        "encodes.",
    ]
    for name, of_set in found["sets"].items():
        arms, splits = of_set["arms"], list(of_set["untrained"])
        head = [s.replace("_", " ") for s in splits]
        columns = ["learning rate", "scale", "texts", "steps/s", "to MNRL's"]
        lines += ["", f"{name}, data fingerprint {of_set['fingerprint']}:", ""]
        lines += [f"| loss | {' | '.join([*head, *columns])} |"]
        lines += ["|---" * (len(splits) + 6) + "|"]
        untrained = " | ".join(f"{of_set['untrained'][split]:.3f}" for split in splits)
        lines += [f"| untrained | {untrained} |{' – |' * 5}"]
        base = statistics.median(arms["MultipleNegativesRankingLoss"]["steps_per_second"])
        for arm, of_arm in arms.items():
            cells = [_spread(of_arm["test"][split]) for split in splits]
            speed = statistics.median(of_arm["steps_per_second"])
            cells += [f"{of_arm['learning_rate']:g}", f"{of_arm['scale']:g}"]
            cells += [f"{of_arm['encoded']:.0f}", f"{speed:.2f}", f"{100 * speed / base:.0f} %"]
            lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _embedding(found: Found, heading: str = "Embedding on a CPU") -> list[str]:
    settings = found["settings"]
    # Files of earlier versions have another key, and no clock.
    known = settings.get("instructions") or settings.get("int8 instructions", [])
    instructions = ", ".join(known) or "none"
    clock = "processor time" if settings.get("clock") == "cpu" else "time"
    lines = [
        f"## {heading}",
        "",
        f"`python benchmarks/embedding.py`: all-MiniLM-L6-v2, {settings['titles']:,} icecat "
        f"titles, {settings['threads']} threads, {clock}, the best of {settings['rounds']} rounds "
        f"in which the arms take turns. Instructions: {instructions}. nDCG@10 of the test queries "
        f"over a sample of {settings['sample']:,} documents, and its change by the export; in "
        "bfloat16 of all queries, in float32, over the judged documents.",
        "",
        "| | titles/s | to sentence-transformers | nDCG@10 | change |",
        "|---" * 5 + "|",
    ]
    for arm, row in found["arms"].items():
        cells = [f"{row['per_second']:,.0f}", f"× {row['times']:.2f}"]
        cells += [f"{row['ndcg@10']:.4f}", f"{row['ndcg_change']:+.2%}"] if "ndcg@10" in row else []
        lines.append(f"| {arm} | {' | '.join(cells + ['–'] * (4 - len(cells)))} |")
    return lines


def _publish(found: Found) -> list[str]:
    lines = [
        "## Models in the layouts of other systems",
        "",
        "`python benchmarks/publish.py`: each model is written in each layout, loaded in its real "
        "client and compared on test queries of icecat and documents judged for them. Differences "
        "are of the cosine between a query and a document.",
        "",
        "| model | layout | client | largest difference | top 10 in common | nDCG@10 | export's |",
        "|---" * 7 + "|",
    ]
    for model, layouts in found.items():
        for layout, proof in layouts.items():
            if "refused" in proof:
                lines.append(f"| {model} | {layout} | refused: {proof['refused']} |{' – |' * 4}")
            elif proof.get("ndcg10") is not None:
                lines.append(
                    f"| {model} | {layout} | {proof['client']} | {proof['largest_difference']:.1e} "
                    f"| {proof['top10_overlap']:.3f} | {proof['ndcg10']:.4f} "
                    f"| {proof['client_ndcg10']:.4f} |"
                )
    return lines


def training(found: Found, heading: str = "Training on a CPU") -> list[str]:
    """Return the section of `training.py`."""
    settings, arms = found["settings"], found["arms"]
    peer, own, cached = "sentence-transformers", "rankfield", "rankfield, cached"
    compared = {
        own: [peer],
        f"{own}, all texts at once": [own],
        f"{own}, bf16": [f"{peer}, bf16", own],
        cached: [f"{peer}, cached", own],
        f"{cached}, bf16": [cached, f"{own}, bf16"],
    }
    clock = "processor time" if settings["clock"] == "cpu" else "time"
    lines = [
        f"## {heading}",
        "",
        f"`python benchmarks/training.py{' --titles' * settings.get('titles', False)}`: "
        "all-MiniLM-L6-v2 on icecat titles, "
        f"{settings['threads']} threads, {clock}; the same judged pairs, cut at as many tokens, "
        "which sentence-transformers shuffles, each arm in its own processes, in turns. Steps of "
        f"{settings['batch']} pairs: medians of {settings['rounds']} processes of "
        f"{settings['steps']} steps. In brackets "
        "least and most. Memory is what the steps take beyond the loaded model.",
        "",
        "| | pairs a step | ms a pair | MiB | times as fast |",
        "|---" * 5 + "|",
    ]
    each = {arm: [1e3 * r["seconds"] / r["pairs"] for r in runs] for arm, runs in arms.items()}
    for arm, runs in arms.items():
        faster = "; ".join(
            f"{_range([b / a for a, b in zip(each[arm], each[one], strict=False)], 2)} as {one}"
            for one in compared.get(arm, [])
            if one in each
        )
        mib = statistics.median(run["mib"] for run in runs)
        cells = (arm, f"{runs[0]['pairs']:,}", _range(each[arm], 1), f"{mib:,.0f}", faster or "–")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _index_search(found: Found) -> list[str]:
    lines = [
        "## Single searches of an index on a CPU",
        "",
        "`python benchmarks/index_search.py`: drawn vectors of 384 numbers, one query at a time, "
        "all arms in turns; recall@10 against faiss's flat search, which keeps neither ids nor "
        "fields. LanceDB is used directly, and as the store of an index of rankfield.",
        "",
        "| documents | | p50, ms | p95, ms | recall@10 | built in, s |",
        "|---" * 6 + "|",
    ]
    for documents, record in found.items():
        for arm, figures in record["arms"].items():
            lines.append(
                f"| {documents} | {arm} | {figures['p50_ms']:.1f} | {figures['p95_ms']:.1f} "
                f"| {figures['recall']:.4f} | {figures['build_seconds']:.1f} |"
            )
    return lines


def clip(found: Found) -> list[str]:
    """Return the section of `clip.py`."""
    settings, arms = found["settings"], found["arms"]
    clock = "processor time" if settings["clock"] == "cpu" else "time"
    lines = [
        "## Training a small CLIP on a CPU",
        "",
        "`python benchmarks/clip.py`: a vision and a text transformer of open_clip, four layers of "
        f"width 192 each, on photos and queries of luma; {settings['threads']} threads, {clock}. "
        f"{settings['steps']} steps of the same {settings['batch']} pairs, decoding, resizing and "
        "tokenising included: open_clip's `train_one_epoch` over its `CsvDataset`, rankfield's "
        f"step over its batches. Medians of {settings['rounds']} processes, in turns; in brackets "
        "least and most.",
        "",
        "| | ms a pair | times as fast as open_clip |",
        "|---" * 3 + "|",
    ]
    each = {arm: [1e3 * run["seconds"] for run in runs] for arm, runs in arms.items()}
    for arm, values in each.items():
        times = [b / a for a, b in zip(values, each["open_clip"], strict=True)]
        faster = "–" if arm == "open_clip" else _range(times, 2)
        lines.append(f"| {arm} | {_range(values, 1)} | {faster} |")
    return lines


def _range(values: Sequence[float], digits: int) -> str:
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def _spread(values: Sequence[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{deviation}"
