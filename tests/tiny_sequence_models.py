"""Tiny models that read texts and images in one sequence, made from configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import train_tokenizer
from rankfield.encoders.without_video import without_video

__all__ = ["PROMPTS", "embedder_folder", "qwen_folder"]

PROMPTS = {"query": "find a gift", "document": "a nice thing"}
_TEXTS = "red green blue grey ball box nice number please gift cheap find a thing system user"
_MEDIA = [
    *("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
]
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
)
_SIZES = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64}


def qwen_folder(folder: Path, version: int = 2, *, max_tokens: int = 96) -> Path:
    """Write a Qwen2-VL or Qwen3-VL of two layers in each tower, as transformers does."""
    import transformers

    tokenizer = train_tokenizer([_TEXTS])
    tokenizer.add_special_tokens({"additional_special_tokens": _MEDIA})
    tokenizer.model_max_length = max_tokens
    ids = dict(zip(_MEDIA, tokenizer.convert_tokens_to_ids(_MEDIA), strict=True))
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
    text = _SIZES | {
        "vocab_size": len(tokenizer),
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": max_tokens,
        "rope_parameters": rope,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision: dict[str, Any] = {"depth": 2, "hidden_size": 32, "num_heads": 2, "patch_size": 4}
    if version == 2:
        vision |= {"embed_dim": 32, "mlp_ratio": 2}
    else:
        vision |= {
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        }
    config = getattr(transformers, f"Qwen{version}VLConfig")(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    torch.manual_seed(0)
    images = transformers.Qwen2VLImageProcessorPil(
        patch_size=4, merge_size=2, temporal_patch_size=2, min_pixels=64, max_pixels=512
    )
    with quiet_transformers(), without_video():
        getattr(transformers, f"Qwen{version}VLModel")(config).save_pretrained(folder)
        processor: Any = getattr(transformers, f"Qwen{version}VLProcessor")(
            image_processor=images, tokenizer=tokenizer, chat_template=_TEMPLATE
        )
        processor.save_pretrained(folder)
    return folder


def embedder_folder(folder: Path, **settings: Any) -> Path:
    """Write a Qwen2-VL with last-token pooling, a Dense layer to 16 dimensions, and prompts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    source = qwen_folder(folder.parent / f"{folder.name}-qwen")
    with quiet_transformers(), without_video():
        pooling = Pooling(32, pooling_mode="lasttoken")
        modules = [Transformer(str(source)), pooling, Dense(32, 16), Normalize()]
        model = SentenceTransformer(modules=modules, device="cpu", prompts=PROMPTS, **settings)
        model.save_pretrained(str(folder), create_model_card=False)
    return folder
