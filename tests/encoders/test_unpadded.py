"""Texts that are trained without padding: vectors and gradients are those of the padded ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foreign_models import TEXTS
from rankfield.encoders import ComposedEncoder, TransformersTextTower, text_towers
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import train_tokenizer
from rankfield.encoders.text_towers import SentenceTransformersTower, TextTower
from rankfield.training.gradient_checkpointing import checkpoint_layers
from tiny_architectures import decoder_folder, dense_folder

SEVERAL = ["red", "a red ball", "blue", "a very nice green box please", "ball"]


def folder_of(kind: str, folder: Path) -> Path:
    """Write a model of two layers, without dropout, whose positions tell from each other."""
    import transformers

    tokenizer = train_tokenizer([*TEXTS, *SEVERAL])
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=24,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.5,
    )
    with quiet_transformers():
        getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
        tokenizer.model_max_length = 16
        tokenizer.save_pretrained(folder)
    return folder


def opened(folder: Path, **options: Any) -> Any:
    return TransformersTextTower.load(folder, **options)


def encoded(tower: TextTower, inputs: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return the vectors and the gradients of a function of them."""
    tower.zero_grad()
    vectors = tower(inputs)
    weights = torch.linspace(-1, 1, vectors.numel(), dtype=vectors.dtype).view_as(vectors)
    (vectors * weights).sum().backward()
    return vectors.detach(), [p.grad.clone() for p in tower.parameters() if p.grad is not None]


def require_equal(tower: TextTower, inputs: dict[str, Tensor]) -> None:
    tower.double().train()
    assert tower.unpads()
    vectors, gradients = encoded(tower, inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_towers, "can_unpad", lambda _: False)
        expected, expected_gradients = encoded(tower, inputs)
    torch.testing.assert_close(vectors, expected)
    assert len(gradients) == len(expected_gradients) > 20
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last_token"])
@pytest.mark.parametrize("kind", ["Bert", "Roberta", "XLMRoberta"])
def test_a_model_of_transformers(tmp_path: Path, kind: str, pooling: Any) -> None:
    tower = opened(folder_of(kind, tmp_path / kind), pooling=pooling)
    inputs = tower.tokenize(SEVERAL)
    assert not inputs["attention_mask"].all()
    require_equal(tower, inputs)
    kinds = torch.arange(inputs["input_ids"].numel()).view_as(inputs["input_ids"]) % 2
    if kind == "Bert":
        require_equal(tower, inputs | {"token_type_ids": kinds})


def test_a_model_of_sentence_transformers(tmp_path: Path) -> None:
    tower = SentenceTransformersTower.load(dense_folder(tmp_path / "dense"))
    for module in tower.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    require_equal(tower, tower.tokenize(SEVERAL))
    assert ComposedEncoder(tower, None, dimension=None).unpads()


def test_layers_that_are_computed_again(tmp_path: Path) -> None:
    tower = opened(folder_of("Bert", tmp_path / "bert")).double().train()
    inputs = tower.tokenize(SEVERAL)
    expected = encoded(tower, inputs)
    checkpoint_layers(ComposedEncoder(tower, None, dimension=None))
    assert tower.model.config._attn_implementation == "sdpa"
    assert tower.unpads()
    vectors, gradients = encoded(tower, inputs)
    assert torch.equal(vectors, expected[0])
    for found, wanted in zip(gradients, expected[1], strict=True):
        assert torch.equal(found, wanted)


def test_linear_layers_see_tokens_alone(tmp_path: Path) -> None:
    tower = opened(folder_of("Bert", tmp_path / "bert")).train()
    inputs, seen = tower.tokenize(SEVERAL), []
    layer = tower.model.encoder.layer[1].intermediate.dense
    layer.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[:-1].numel()))
    tower(inputs)
    tower.eval()(inputs)
    assert seen == [int(inputs["attention_mask"].sum()), inputs["input_ids"].numel()]


def test_other_models_and_texts_are_padded(tmp_path: Path) -> None:
    folder = folder_of("Bert", tmp_path / "bert")
    tower = opened(folder).train()
    assert tower.unpads()
    assert not opened(folder).eval().unpads()
    frozen = opened(folder)
    frozen.freeze()
    assert not frozen.train().unpads()
    eager = opened(folder).train()
    eager.model.set_attn_implementation("eager")
    assert not eager.unpads()
    assert not opened(decoder_folder(tmp_path / "qwen")).train().unpads()
    left = opened(folder).train()
    inputs = {name: item.flip(1) for name, item in left.tokenize(SEVERAL).items()}
    expected = left.model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    torch.testing.assert_close(left(inputs), (expected * mask).sum(1) / mask.sum(1))


def test_the_attention_of_the_model_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = opened(folder_of("Bert", tmp_path / "bert")).train()

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(tower.model.encoder, "forward", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        tower(tower.tokenize(SEVERAL))
    assert tower.model.config._attn_implementation == "sdpa"
