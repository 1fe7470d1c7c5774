"""Encoders on a GPU, for gpu.py: training and embedding beside sentence-transformers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["embedding", "training"]

OURS, PEER = "rankfield", "sentence-transformers"
COLOURS = ("red", "green", "blue", "grey", "nice", "large", "small", "cheap")
THINGS = ("ball", "box", "mug", "lamp", "number", "gift")
SMALL = {"hidden_size": 64, "num_hidden_layers": 1, "intermediate_size": 128}
MEDIUM = {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072}


def embedding(small: bool, device: str) -> list[dict[str, Any]]:
    """Return texts per second, in float32 and, on a GPU, in bfloat16."""
    import rankfield
    from rankfield.schema import Field

    texts = titles(100 if small else 50_000)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        peer = tower(Path(name), small, device)
        peer.save(str(Path(name) / "model"))
        for precision in ("float32",) if small else ("float32", "bfloat16"):
            model = rankfield.RankingModel.from_pretrained(
                Path(name) / "model",
                document_fields=[Field("title", "text")],
                device=device,
                precision=precision,  # type: ignore[arg-type]
            )
            peer = peer.bfloat16() if precision == "bfloat16" else peer
            arms: dict[str, Callable[[], Any]] = {
                OURS: lambda m=model: m.encode_documents(texts, show_progress_bar=False),  # type: ignore[misc]
                PEER: lambda p=peer: p.encode(  # type: ignore[misc]
                    texts, batch_size=256 if device == "cuda" else 32, show_progress_bar=False
                ),
            }
            rows += rates(arms, len(texts), precision)
    return rows


def training(small: bool, device: str) -> list[dict[str, Any]]:
    """Return pairs per second of steps of the same tower on the same titles."""
    size, steps = (16, 3) if small else (1024, 12)
    rows = []
    for precision in ("fp32",) if small else ("fp32", "bf16"):
        with tempfile.TemporaryDirectory() as name:
            tower(Path(name) / "tower", small, device)
            seconds = {
                OURS: ours(Path(name), size, steps, precision),
                PEER: theirs(Path(name), size, steps, precision, device),
            }
        for arm, taken in seconds.items():
            row = {"arm": arm, "precision": precision, "pairs/s": round(size / taken)}
            if arm == OURS:
                row[f"× {PEER}"] = round(seconds[PEER] / taken, 2)
            rows.append(row)
    return rows


def rates(arms: dict[str, Callable[[], Any]], count: int, precision: str) -> list[dict[str, Any]]:
    """Return how many texts a second each arm embeds: the best of three rounds in turns."""
    best: dict[str, float] = {}
    for number in range(4):
        for arm, encode in arms.items():
            start = time.perf_counter()
            encode()  # its result is on the CPU: nothing is left to wait for
            taken = time.perf_counter() - start
            if number:  # the first warms up
                best[arm] = min(taken, best.get(arm, taken))
    rows: list[dict[str, Any]] = [
        {"arm": arm, "precision": precision, "texts/s": round(count / taken)}
        for arm, taken in best.items()
    ]
    rows[0][f"× {PEER}"] = round(best[PEER] / best[OURS], 2)
    return rows


def titles(count: int) -> list[str]:
    """Return texts of 4 to 24 words."""
    g = torch.Generator().manual_seed(0)
    words = [*COLOURS, *THINGS]
    lengths = torch.randint(4, 25, (count,), generator=g).tolist()
    return [
        " ".join(words[i] for i in torch.randint(len(words), (n,), generator=g).tolist())
        for n in lengths
    ]


def tower(folder: Path, small: bool, device: str) -> Any:
    """Write a BERT with random weights and return it as a `SentenceTransformer`."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    from rankfield.encoders.quiet import quiet_transformers
    from rankfield.encoders.small import train_tokenizer

    tokenizer = train_tokenizer(titles(50))
    torch.manual_seed(0)
    sizes = SMALL if small else MEDIUM
    heads = max(2, sizes["hidden_size"] // 64)
    ids = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    config = BertConfig(**sizes, **ids, num_attention_heads=heads, max_position_embeddings=64)
    with quiet_transformers():
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
        tokenizer.model_max_length = 64
        tokenizer.save_pretrained(folder)
        transformer = Transformer(str(folder))
    transformer.auto_model.pooler = None
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[transformer, pooling, Normalize()], device=device)


def ours(folder: Path, size: int, steps: int, precision: str) -> float:
    """Return the seconds of a step of `rankfield`'s loop, the first left out."""
    from rankfield.schema import RankingDataset
    from rankfield.synthetic import sample_shop
    from rankfield.training import build_model, parse_recipe
    from rankfield.training.accelerator import end_run, make_accelerator
    from rankfield.training.batches import PairBatches
    from rankfield.training.optimizer import make_optimizer
    from rankfield.training.step import TrainingStep

    dataset: RankingDataset = sample_shop(
        folder / "shop", documents=40 * size, queries=8 * size, per_query=8, images=False
    )
    values: dict[str, Any] = {
        "trackers": [],
        "precision": precision,
        "encoder": {"kind": "composed", "text_model": str(folder / "tower")},
        "data": {"document_weights": {"title": 1.0}},
        "batch": {"size": size, "more_queries": 0, "gradient_cache": "off"},
        "optimizer": {"steps": 1000, "learning_rate": 2e-5},
    }
    recipe = parse_recipe(values)
    model = build_model(recipe, dataset)
    batches = PairBatches(recipe, dataset, model)
    accelerator = make_accelerator(recipe, folder)
    step = TrainingStep(
        recipe,
        model,
        make_optimizer(model, recipe.optimizer),
        scale=dataset.score_scale,
        accelerator=accelerator,
    )
    step.wrapped.train()
    start = 0.0
    for number in range(steps):
        if number == 1:
            start = time.perf_counter()
        step(number, batches[number])  # reads the loss: nothing is left to wait for
    taken = (time.perf_counter() - start) / (steps - 1)
    end_run(accelerator)
    return taken


def theirs(folder: Path, size: int, steps: int, precision: str, device: str) -> float:
    """Return the seconds of a step of sentence-transformers' trainer, the first left out."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    from rankfield.schema import RankingDataset

    data = RankingDataset.load(folder / "shop")
    queries = dict(zip(*data.queries.select("query_id", "query"), strict=True))
    documents = dict(zip(*data.documents.select("doc_id", "title"), strict=True))
    chosen = data.judgments.sample(size * steps, seed=0)
    rows = {
        "anchor": [queries[one] for one in chosen["query_id"]],
        "positive": [documents[one] for one in chosen["doc_id"]],
    }
    model = SentenceTransformer(str(folder / "tower"), device=device)
    seconds: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if device == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - self.start)

    arguments = Arguments(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=size,
        max_steps=steps,
        learning_rate=2e-5,
        bf16=precision == "bf16",
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=device == "cpu",
    )
    SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(rows),
        loss=MultipleNegativesRankingLoss(model),
        callbacks=[Clock()],
    ).train()
    return sum(seconds[1:]) / (steps - 1)
