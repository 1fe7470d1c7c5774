"""A model of sentence-transformers that reads texts and images in one sequence."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from rankfield.encoders.folder_kind import MODULES
from rankfield.encoders.model_config import require_modest
from rankfield.encoders.pooling import Pooling
from rankfield.encoders.pretrained import loading, require_plain_files
from rankfield.encoders.text_towers import (
    WEIGHTS,
    open_sentence_transformer,
    require_sentence_transformers,
)
from rankfield.encoders.without_video import without_video
from rankfield.errors import InputError, ModelError
from rankfield.files import read_json_object

__all__ = ["load_sequence_model", "reads_sequences", "video_settings"]

_POOLINGS = {"mean": "mean", "cls": "cls", "last_token": "lasttoken"}
_VIDEO_FILE, _PROCESSOR_FILE = "video_preprocessor_config.json", "processor_config.json"


def reads_sequences(model: Any) -> bool:
    """Return whether a `SentenceTransformer` takes messages of texts and images."""
    return {"text", "image", "message"} <= set(model.modalities)


def load_sequence_model(folder: Path, where: str, *, pooling: Pooling | None = None) -> Any:
    """Return a folder's model as a `SentenceTransformer`, float32, on the CPU.

    A model of transformers alone is followed by a pooling, by default of the last token.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ModelError: it cannot be loaded.
        InputError: a pooling that does not fit.
    """
    require_sentence_transformers()
    require_plain_files(folder)
    with loading(where), without_video():
        require_modest(folder)
        if (folder / MODULES).is_file():
            model = open_sentence_transformer(folder)
        else:
            model = _pooled(folder, pooling, where)
        if reads_sequences(model):
            _pin_processor(model, folder)
    return model


def _pooled(folder: Path, pooling: Pooling | None, where: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule
    from sentence_transformers.sentence_transformer.modules import Transformer

    mode = _POOLINGS.get(pooling or "last_token")
    if mode is None:
        raise InputError(
            f"has no pooling {pooling!r}",
            where=where,
            remedy=f"Choose one of {', '.join(_POOLINGS)}.",
        )
    local = {"local_files_only": True, "trust_remote_code": False}
    transformer = Transformer(
        str(folder), model_kwargs=WEIGHTS | local, processor_kwargs=local, config_kwargs=local
    )
    if "message" not in transformer.modalities:
        raise ModelError(
            "has no chat template, by which text and image become one sequence",
            where=where,
            remedy="Save its processor with one, or take a model of sentence-transformers.",
        )
    pooled = PoolingModule(transformer.get_embedding_dimension(), pooling_mode=mode)
    return SentenceTransformer(modules=[transformer, pooled], device="cpu")


def _pin_processor(model: Any, folder: Path) -> None:
    """Resize by Pillow even where torchvision is installed, which gives other pixels."""
    from transformers import AutoImageProcessor

    processor = model[0].processor
    # a model whose images only torchvision can prepare keeps what it has
    with suppress(ImportError, ValueError):
        processor.image_processor = AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, backend="pil"
        )


def video_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings of a folder's video processor, which a saved model keeps; None of none.

    Raises:
        InputError: they are malformed.
    """
    if (folder / _VIDEO_FILE).is_file():
        return read_json_object(folder / _VIDEO_FILE)
    if (folder / _PROCESSOR_FILE).is_file():
        found: dict[str, Any] | None = read_json_object(folder / _PROCESSOR_FILE).get(
            "video_processor"
        )
        return found
    return None
