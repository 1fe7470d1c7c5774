"""Seconds a pair of training a small CLIP on photos and queries: rankfield beside open_clip.

    python benchmarks/clip.py                          luma, five rounds
    python benchmarks/clip.py --rounds 1 --steps 4 --threads 1 --clock cpu

Needs open_clip and open_clip_train (extra `open-clip`). Both arms train the same vision
transformer and text transformer of open_clip, from the same weights, on the same judged pairs of
luma in the same order, with AdamW and the loss of CLIP in float32. open_clip runs its own
`train_one_epoch` over its `CsvDataset` and its training transform. rankfield runs its training
step with `contrastive_loss` on its batches, augmented. All time from the first image on counts:
reading, decoding, resizing and tokenising as each does it, and the steps. Neither has other
processes that make batches. Each arm and round is a process of its own, and the arms take turns.
Figures go to benchmarks/results/clip.json; benchmarks/results_page.py writes the page.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arms import CLOCKS, in_turns, write_results
from quality import _prepare
from quality_arms import SETS

HERE = Path(__file__).parent
PEER, OURS, HALF = "open_clip", "rankfield", "rankfield, bf16"
ARMS = (PEER, OURS, HALF)
MODEL = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": 64,
        "layers": 4,
        "width": 192,
        "head_width": 64,
        "patch_size": 8,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 192, "heads": 3, "layers": 4},
}


def main() -> None:
    """Time every arm in turns, print the table, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("bench-clip"))
    parser.add_argument("--batch", type=int, default=128, help="pairs a step")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "clip.json")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if options.arm:
        print(json.dumps(measured(options.arm, options)))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    _prepare(SETS["luma"], options.out, options.data)
    write_model(options.out / "model")
    runs = in_turns(dict.fromkeys(ARMS, options.rounds))
    found = write_results(options, ("batch", "steps", "rounds", "threads", "clock"), runs)
    from system_sections import clip

    print("\n".join(clip(found)))


def write_model(folder: Path) -> None:
    """Write the model with random weights as open_clip saves one."""
    import torch
    from safetensors.torch import save_file

    from rankfield.encoders.open_clip_import import import_open_clip

    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model = import_open_clip().CLIP(**json.loads(json.dumps(MODEL)))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = json.dumps({"model_cfg": MODEL, "preprocess_cfg": {}})
    (folder / "open_clip_config.json").write_text(config, "utf-8")


def measured(arm: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of a pair, and the last loss."""
    import torch

    torch.set_num_threads(options.threads)
    run = peer(options) if arm == PEER else ours(arm, options)
    clock = CLOCKS[options.clock]
    start = clock()
    loss = run()
    seconds = clock() - start
    return {"seconds": seconds / (options.batch * options.steps), "loss": loss}


def recipe_and_data(options: argparse.Namespace) -> tuple[Any, Any]:
    """Return rankfield's recipe and the data set."""
    import rankfield
    from rankfield.training import parse_recipe

    values: dict[str, Any] = {
        "trackers": [],
        "encoder": {"kind": "open-clip", "model": str((options.out / "model").resolve())},
        "data": {"document_weights": {"image": 1.0}, "augment": True},
        "loss": {
            "name": "contrastive",
            "target": "pair",
            "direction": "both",
            "weight": "constant",
        },
        "batch": {
            "size": options.batch,
            "more_queries": 0,
            "documents_per_query": 1,
            "choice": "uniform",
        },
        "optimizer": {"steps": options.steps, "learning_rate": 1e-3},
    }
    return parse_recipe(values), rankfield.RankingDataset.load(options.out / "split")


def ours(arm: str, options: argparse.Namespace) -> Callable[[], float]:
    """Return what trains in rankfield."""
    from accelerate import Accelerator

    from rankfield.training import build_model
    from rankfield.training.batches import PairBatches
    from rankfield.training.optimizer import make_optimizer
    from rankfield.training.step import TrainingStep

    recipe, dataset = recipe_and_data(options)
    model = build_model(recipe, dataset)

    def run() -> float:
        batches = PairBatches(recipe, dataset, model)
        step = TrainingStep(
            recipe,
            model,
            make_optimizer(model, recipe.optimizer),
            scale=dataset.score_scale,
            accelerator=Accelerator(cpu=True),
            precision="bfloat16" if arm == HALF else "float32",
        )
        step.wrapped.train()
        found = [step(number, batches[number])["loss"] for number in range(options.steps)]
        return found[-1]

    return run


def peer(options: argparse.Namespace) -> Callable[[], float]:
    """Return what trains in open_clip, on the same pairs."""
    import torch

    from rankfield.encoders import OpenClipEncoder
    from rankfield.encoders.open_clip_import import import_open_clip
    from rankfield.training import build_model
    from rankfield.training.batches import PairBatches

    open_clip = import_open_clip()
    from open_clip_train.data import CsvDataset, DataInfo
    from open_clip_train.train import train_one_epoch

    recipe, dataset = recipe_and_data(options)
    untrained = build_model(recipe, dataset)
    batches = PairBatches(recipe, dataset, untrained)
    file = Path(tempfile.mkdtemp()) / "pairs.csv"
    queries, images = dataset.queries["query"].to_list(), dataset.documents["image"].to_list()
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, delimiter="\t")
        writer.writerow(["filepath", "title"])
        for number in range(options.steps):
            chosen = batches.indices(number)
            pairs = zip(
                batches.pairs.query_rows[chosen], batches.pairs.document_rows[chosen], strict=True
            )
            writer.writerows([dataset.image_source(images[d]), queries[q]] for q, d in pairs)
    assert isinstance(untrained.encoder, OpenClipEncoder)
    model = open_clip.CLIP(**json.loads(json.dumps(MODEL)), output_dict=True)
    size = MODEL["vision_cfg"]["image_size"]  # type: ignore[index]
    transform = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(size=size), is_train=True
    )
    arguments = argparse.Namespace(
        device="cpu",
        precision="fp32",
        distill=False,
        accum_freq=1,
        skip_scheduler=True,
        grad_clip_norm=1.0,
        log_every_n_steps=1000,
        batch_size=options.batch,
        world_size=1,
        rank=0,
        local_rank=0,
        horovod=False,
        wandb=False,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-6)
    loss = open_clip.ClipLoss()
    last: list[float] = []

    def counted(*values: Any, **named: Any) -> Any:
        found = loss(*values, **named)
        last[:] = [float(sum(found.values()).detach())]
        return found

    def run() -> float:
        data = CsvDataset(
            file, transform, "filepath", "title", tokenizer=open_clip.tokenizer.SimpleTokenizer()
        )
        loader = torch.utils.data.DataLoader(data, batch_size=options.batch, drop_last=True)
        loader.num_samples, loader.num_batches = len(data), len(loader)
        train_one_epoch(
            model, {"train": DataInfo(loader)}, counted, 0, optimizer, None, None, None, arguments
        )
        return last[0]

    return run


if __name__ == "__main__":
    main()
