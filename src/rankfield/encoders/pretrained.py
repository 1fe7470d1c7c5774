"""Loading what `transformers` saved: whole, in float32, from safetensors, or a ModelError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from rankfield.errors import ModelError

__all__ = ["load_model", "load_tokenizer", "loading"]

# What a missing, foreign or damaged folder raises inside transformers and its tokenizers.
_FAILURES = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError)


@contextmanager
def loading(where: str) -> Iterator[None]:
    """Turn what a missing, foreign or damaged model raises into a `ModelError` that names it."""
    try:
        yield
    except _FAILURES as error:
        if "trust_remote_code" in str(error):
            raise ModelError(
                "needs code of its own, which rankfield does not run",
                where=where,
                remedy="Choose a model of an architecture that transformers itself has.",
            ) from error
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"cannot be loaded ({problem})", where=where) from error


def load_model(source: str | Path, where: str, *, unused: str = "\0") -> Any:
    """Return the `transformers` model of a hub id or folder, float32.

    Args:
        source: hub id or folder.
        where: how to name it in an error.
        unused: weights whose names begin so may be missing.

    Raises:
        ModelError: it cannot be loaded, or weights are missing that would be random.
    """
    import torch
    from transformers import AutoModel

    with loading(where):
        # A checkpoint in half precision would otherwise be trained in it.
        model, report = AutoModel.from_pretrained(
            source,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
        )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(unused))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"its file lacks the weights {missing[0]}{more} of a {type(model).__name__}",
            where=where,
            remedy="Is it a checkpoint of another kind of model?",
        )
    return model


def load_tokenizer(source: str | Path, where: str) -> Any:
    """Return the tokenizer of a hub id or folder.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    with loading(where):
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
