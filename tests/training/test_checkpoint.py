"""Checkpoints that are damaged: refused when they are read, not in a later step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from rankfield.errors import ModelError
from rankfield.training.checkpoint import Progress, Snapshot, load_checkpoint


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_the_optimizers_state_comes_back(tmp_path: Path) -> None:
    model, optimizer = trained()
    progress = Progress(fingerprint="f", recipe={})
    Snapshot.of(model, optimizer, progress).write(tmp_path)
    again = nn.Linear(3, 2)
    other = torch.optim.AdamW(again.parameters())
    assert load_checkpoint(tmp_path, again, other, progress) == progress
    for name in ("step", "exp_avg", "exp_avg_sq"):
        for mine, theirs in zip(model.parameters(), again.parameters(), strict=True):
            assert torch.equal(optimizer.state[mine][name], other.state[theirs][name])


@pytest.mark.parametrize("change", ["missing", "shape", "name", "number", "no number"])
def test_an_optimizers_state_that_does_not_fit(change: str, tmp_path: Path) -> None:
    model, optimizer = trained()
    progress = Progress(fingerprint="f", recipe={})
    Snapshot.of(model, optimizer, progress).write(tmp_path)
    path = tmp_path / "optimizer.safetensors"
    state = load_file(path)
    moment = state.pop("1.exp_avg_sq")
    if change == "shape":
        state["1.exp_avg_sq"] = moment[:1]
    elif change == "name":
        state["1.exp_avg_sr"] = moment
    elif change == "number":
        state |= {"1.exp_avg_sq": moment, "7.exp_avg": moment.clone()}
    elif change == "no number":
        state["x.exp_avg_sq"] = moment
    save_file(state, path)
    with pytest.raises(ModelError, match="of another model or damaged"):
        load_checkpoint(tmp_path, model, optimizer, progress)
