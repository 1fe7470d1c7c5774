"""open_clip beside a torch without CUDA: whatever is imported first; and where it is missing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from rankfield.encoders import OpenClipEncoder
from rankfield.encoders.open_clip_import import import_open_clip
from rankfield.errors import MissingExtraError

TRANSFORMERS = (
    "from transformers import AutoModel, AutoImageProcessor, CLIPModel, CLIPImageProcessor"
)
OPEN_CLIP = "from rankfield.encoders.open_clip_import import import_open_clip; import_open_clip()"


@pytest.mark.parametrize("name", ["hf-hub:Marqo/marqo-fashionCLIP", "ViT-B-32", "org/name"])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankfield\[open-clip\]'") as caught:
        OpenClipEncoder.from_pretrained(name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("open_clip") is None, reason="make open-clip")
class TestInstalled:
    @pytest.mark.parametrize(
        "imports",
        [
            (OPEN_CLIP, TRANSFORMERS, "import sentence_transformers, peft"),
            ("import rankfield.encoders", TRANSFORMERS, "import sentence_transformers", OPEN_CLIP),
        ],
    )
    def test_any_order_of_imports(self, imports: tuple[str, ...]) -> None:
        code = "\n".join([*imports, "import torchvision, open_clip"])
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def test_threads_of_tokenizers_are_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
        assert import_open_clip().__name__ == "open_clip"
        assert "TOKENIZERS_PARALLELISM" not in os.environ
