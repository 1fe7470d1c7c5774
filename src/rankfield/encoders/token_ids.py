"""Token ids of texts, by a tokenizer that may be damaged or of another model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from rankfield.errors import ModelError

__all__ = ["checked_ids", "token_ids"]


def token_ids(
    tokenizer: Any, texts: Sequence[str], names: Sequence[str], config: Any, **options: Any
) -> dict[str, Tensor]:
    """Return what a tokenizer of `transformers` makes of texts, cut to its `max_length`.

    Args:
        tokenizer: as `transformers` loads it.
        texts: one a row.
        names: what of its output is needed, "input_ids" first.
        config: of the text model, whose `vocab_size` bounds the ids.
        options: of the call.

    Raises:
        ModelError: it fails, or gives an id that the model has no embedding for.
    """

    def tokens() -> dict[str, Tensor]:
        found = tokenizer(list(texts), truncation=True, return_tensors="pt", **options)
        return {name: found[name] for name in names}

    return checked_ids(tokens, names[0], getattr(config, "vocab_size", None))


def checked_ids(
    tokens: Callable[[], dict[str, Tensor]], name: str, known: int | None
) -> dict[str, Tensor]:
    """Return the tokens that a tokenizer makes, whose `name` are ids below `known`.

    Raises:
        ModelError: it fails, or gives an id that the model has no embedding for.
    """
    try:
        found = tokens()
        ids = found[name]
        last = int(ids.max()) if ids.numel() else 0
    except BaseException as error:  # a panic of Rust is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise _unfit(f"fails ({error!r:.200})") from error
    if known is not None and last >= known:
        raise _unfit(f"gives the token {last:,}, the model knows {known:,}")
    return found


def _unfit(problem: str) -> ModelError:
    return ModelError(
        f"the tokenizer {problem}",
        where="model",
        remedy="It is damaged or of another model: fetch or save the model again.",
    )
