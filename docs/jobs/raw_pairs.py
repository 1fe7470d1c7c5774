"""Write what the author of a training script for sentence-transformers has.

    python raw_pairs.py st-raw

makes the folder st-raw with

    pairs.jsonl     the rows that the trainer takes: anchor, positive, score
    trainer.json    the arguments of the trainer, and the names of model and loss
    my-model/       a small encoder, in place of one from a hub
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import rankfield


def main() -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path, help="folder to make")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        shop = rankfield.sample_shop(
            Path(temporary) / "shop", documents=300, queries=60, per_query=20, images=False
        )
    rows = shop.judgments.join(shop.queries, on="query_id").join(shop.documents, on="doc_id")
    chosen.out.mkdir(parents=True)
    with (chosen.out / "pairs.jsonl").open("w", encoding="utf-8") as file:
        for row in rows.sort("query_id", "position").iter_rows(named=True):
            pair = {"anchor": row["query"], "positive": row["title"], "score": row["score"] / 20}
            file.write(json.dumps(pair) + "\n")
    write_model(shop.documents["title"].to_list(), chosen.out / "my-model")
    settings = {
        "model": str(chosen.out / "my-model"),
        "loss": {"name": "CachedMultipleNegativesRankingLoss", "scale": 20.0},
        "args": {
            "output_dir": "out",
            "num_train_epochs": 3,
            "per_device_train_batch_size": 64,
            "learning_rate": 1e-3,
            "warmup_ratio": 0.1,
            "batch_sampler": "no_duplicates",
            "run_name": "st-baseline",
            "report_to": "tensorboard",
        },
    }
    (chosen.out / "trainer.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def write_model(texts: list[str], folder: Path) -> None:
    """Write a model of sentence-transformers: a BERT of one layer with random weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    from rankfield.encoders.quiet import quiet_transformers
    from rankfield.encoders.small import train_tokenizer

    tokenizer = train_tokenizer(texts)
    tokenizer.model_max_length = 32
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=32,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary, quiet_transformers():
        BertModel(config, add_pooling_layer=False).save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        transformer = Transformer(temporary)
    transformer.auto_model.pooler = None  # its weights would never learn
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save_pretrained(str(folder))


if __name__ == "__main__":
    main()
