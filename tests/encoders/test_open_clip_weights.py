"""Checkpoints: what is read of them, and what is refused without being run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rankfield.encoders.open_clip_weights import load_weights, read_weights
from rankfield.errors import ModelError

WEIGHTS = {"visual.weight": torch.arange(4.0), "logit_scale": torch.tensor(2.0)}
WRAPPED = {f"module._orig_mod.{name}": value for name, value in WEIGHTS.items()}


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "checkpoint",
    [
        WEIGHTS,
        WRAPPED,
        {"state_dict": WEIGHTS, "epoch": 3},
        {"state_dict": WRAPPED, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints(tmp_path: Path, checkpoint: Any, zipped: bool) -> None:
    path = tmp_path / "epoch_1.pt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    found = read_weights(path)
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], value) for name, value in WEIGHTS.items())


def test_safetensors(tmp_path: Path) -> None:
    save_file(WRAPPED, tmp_path / "a.safetensors")
    assert read_weights(tmp_path / "a.safetensors").keys() == WEIGHTS.keys()


def test_no_code_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "trapped"
    path = tmp_path / "a.pt"
    for save in (torch.save, lambda value, to: to.write_bytes(pickle.dumps(value))):
        save({"state_dict": WEIGHTS, "args": Trap(trap)}, path)
        with pytest.raises(ModelError, match="no plain checkpoint") as caught:
            read_weights(path)
        assert "\n" not in str(caught.value)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"state_dict": {}}, "found nothing"),
        ({"model": WEIGHTS, "epoch": 1}, "found the keys 'model', 'epoch'"),
        ({**WEIGHTS, "epoch": 1}, "found the keys 'visual.weight', 'logit_scale', 'epoch'"),
        ([torch.zeros(1)], "found a list"),
    ],
)
def test_no_weights(tmp_path: Path, content: Any, problem: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=rf"expected a state dict .* {problem}"):
        read_weights(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors", "a.bin"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"hello", b"\x80\x02}q\x00."])
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name}: "):
        read_weights(tmp_path / name)
    with pytest.raises(ModelError, match="there is no such file"):
        read_weights(tmp_path / "none.pt")
    with pytest.raises(ModelError, match=r"no safetensors and no plain checkpoint"):
        read_weights(tmp_path)


class Model(nn.Module):
    """Has the names of a `CustomTextCLIP`."""

    def __init__(self) -> None:
        super().__init__()
        self.text = nn.Module()
        self.text.positional_embedding = nn.Parameter(torch.zeros(3, 2))
        self.text.ln_final = nn.LayerNorm(2)
        self.logit_scale = nn.Parameter(torch.tensor([1.0]))


def test_names_of_a_text_tower_that_is_no_module() -> None:
    model = Model()
    values = {"positional_embedding": torch.ones(3, 2), "logit_bias": torch.tensor(-10.0)}
    values |= {"ln_final.weight": torch.ones(2).half(), "ln_final.bias": torch.ones(2)}
    load_weights(model, values, "here")
    assert torch.equal(model.state_dict()["text.positional_embedding"], torch.ones(3, 2))
    assert model.state_dict()["text.ln_final.weight"].dtype == torch.float32
    assert model.logit_scale.item() == 1.0
    own = {name: value.clone() for name, value in model.state_dict().items()}
    load_weights(model, own | {"logit_scale": torch.tensor(3.0)}, "here")
    assert model.logit_scale.tolist() == [3.0]
    for changed, problem in (
        ({"text.ln_final.bias": None}, r"lacks the weights text\.ln_final\.bias\."),
        ({"visual.proj": torch.zeros(1)}, r"has, beyond .*, the weights visual\.proj\."),
        (
            {"text.positional_embedding": torch.zeros(5, 2)},
            r"positional_embedding \(5, 2\) \(the architecture's is \(3, 2\)",
        ),
    ):
        wrong = {k: v for k, v in (own | changed).items() if v is not None}
        with pytest.raises(ModelError, match=problem):
            load_weights(model, wrong, "here")
