"""A model folder with code of its own is refused, and nobody is asked."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rankfield.encoders import DualEncoder
from rankfield.encoders.pretrained import load_model, load_tokenizer
from rankfield.encoders.text_towers import SentenceTransformersTower
from rankfield.encoders.vision_tower import VisionTower
from rankfield.errors import ModelError
from tiny_models import tiny_clip


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CLIP whose config and tokenizer ask for code beside them, and a "yes" in stdin."""
    folder = tiny_clip(tmp_path / "stranger")
    mark = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    for name in ("evil.py", "modeling_evil.py", "evil_tokenizer.py"):
        (folder / name).write_text(mark + "Evil = EvilConfig = EvilTokenizer = None\n", "utf-8")
    _change(folder / "config.json", model_type="evil", auto_map=_map("Model", "Config"))
    tokenizer = {"AutoTokenizer": ["evil_tokenizer.EvilTokenizer", None]}
    _change(folder / "tokenizer_config.json", tokenizer_class="Evil", auto_map=tokenizer)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n1\n" * 8))
    return folder


def _map(*kinds: str) -> dict[str, str]:
    return {f"Auto{kind}": f"evil.Evil{kind if kind == 'Config' else ''}" for kind in kinds}


def _change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | values), "utf-8")


@pytest.mark.parametrize(
    "load",
    [
        lambda folder: load_model(folder, "model"),
        lambda folder: load_tokenizer(folder, "tokenizer"),
        DualEncoder.from_pretrained,
        VisionTower.load,
        SentenceTransformersTower.load,
    ],
    ids=["model", "tokenizer", "dual", "vision", "text"],
)
def test_code_of_a_model_folder_is_refused(stranger: Path, tmp_path: Path, load: Any) -> None:
    with pytest.raises(ModelError, match="code of its own, which rankfield does not run"):
        load(stranger)
    assert not (tmp_path / "ran").exists()
    assert sys.stdin.read() == "y\n1\n" * 8, "nothing was asked"


def test_a_module_of_sentence_transformers_that_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n", "utf-8")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]
    (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    monkeypatch.chdir(folder)
    with pytest.raises(ModelError):
        SentenceTransformersTower.load(folder)
    assert not (tmp_path / "ran").exists()
