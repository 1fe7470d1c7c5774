"""Small models of every kind that a layout writes, with random weights of a fixed seed."""

from __future__ import annotations

from pathlib import Path

import torch

from rankfield.encoders import (
    ComposedEncoder,
    RankingModel,
    SentenceTransformersTower,
    TransformersTextTower,
    VisionTower,
)
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import train_tokenizer
from rankfield.schema import Field
from tiny_models import tiny_clip
from tiny_naflex import naflex_folder
from tiny_sentence_transformer import tiny_sentence_transformer

__all__ = ["MULTI", "QUERY", "MiniatureModels"]

MULTI = (Field("image", "image", 0.9), Field("title", "text", 0.1))
QUERY = (Field("query", "text"),)
TITLE = (Field("title", "text"),)
_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


class MiniatureModels:
    """Makes models in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.library = tiny_sentence_transformer(root / "bert")

    def clip(self) -> RankingModel:
        return RankingModel.from_pretrained(
            tiny_clip(self.root / "clip"), query_fields=QUERY, document_fields=MULTI, device="cpu"
        )

    def siglip(self) -> RankingModel:
        import transformers

        folder = self.root / "siglip"
        tokenizer = train_tokenizer(["red green blue grey ball box"])
        text = _TOWER | {
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 12,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.cls_token_id,
            "eos_token_id": tokenizer.sep_token_id,
            "projection_size": 32,
        }
        torch.manual_seed(0)
        with quiet_transformers():
            config = transformers.SiglipConfig(
                text_config=text, vision_config=_TOWER | {"image_size": 16, "patch_size": 8}
            )
            transformers.SiglipModel(config).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            size = {"height": 16, "width": 16}
            transformers.SiglipImageProcessorPil(size=size).save_pretrained(folder)
        return RankingModel.from_pretrained(
            folder, query_fields=QUERY, document_fields=MULTI, device="cpu"
        )

    def naflex(self) -> RankingModel:
        return RankingModel.from_pretrained(
            naflex_folder(self.root / "naflex"),
            query_fields=QUERY,
            document_fields=MULTI,
            device="cpu",
        )

    def bert(self, **options: object) -> RankingModel:
        tower = TransformersTextTower.load(self.root / "bert", **options)  # type: ignore[arg-type]
        encoder = ComposedEncoder(
            tower, None, dimension=None, query_prefix="red ", document_prefix="nice "
        )
        return RankingModel(encoder, QUERY, TITLE, name="bert").eval()

    def sentence_transformer(self) -> RankingModel:
        encoder = ComposedEncoder(SentenceTransformersTower(self.library), None, dimension=None)
        return RankingModel(encoder, QUERY, TITLE, name="library").eval()

    def composed(self) -> RankingModel:
        import transformers

        folder = self.root / "vit"
        torch.manual_seed(0)
        with quiet_transformers():
            config = transformers.ViTConfig(**_TOWER, image_size=16, patch_size=8)
            transformers.ViTModel(config).save_pretrained(folder)
            size = {"height": 16, "width": 16}
            transformers.ViTImageProcessorPil(size=size).save_pretrained(folder)
            text, vision = SentenceTransformersTower(self.library), VisionTower.load(folder)
        encoder = ComposedEncoder(text, vision, dimension=24, document_prefix="a ")
        return RankingModel(encoder, QUERY, MULTI, name="composed").eval()
