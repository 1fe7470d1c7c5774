"""Tiny models as other libraries save them."""

from __future__ import annotations

from pathlib import Path

from rankfield.encoders.small import train_tokenizer

TEXTS = [
    "red ball",
    "a blue box, please",
    "grey",
    "nice ball number 12",
    "ünïcödé Straße",
    "x" * 300,
]


def dual_folder(folder: Path, family: str, *, layers: int = 1) -> Path:
    """A tiny CLIP or SigLIP as transformers would write it, of so many layers a tower."""
    import transformers

    tokenizer = train_tokenizer(TEXTS)
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "projection_dim": 16,
    }
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    text = tower | ids | {"vocab_size": len(tokenizer), "max_position_embeddings": 12}
    vision = tower | {"image_size": 32, "patch_size": 8}
    if family == "CLIP":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
        processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)
    else:
        text["projection_size"] = 32
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        processor = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    model = getattr(transformers, f"{'CLIP' if family == 'CLIP' else 'Siglip'}Model")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
