"""Loading what `transformers` saved: whole, in float32, from safetensors, or a ModelError."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rankfield.encoders.model_config import require_modest
from rankfield.errors import ModelError, RecipeError
from rankfield.files import MAX_JSON, read_json_object
from rankfield.messages import listed
from rankfield.paths import require_regular

__all__ = [
    "allowed_code",
    "load_model",
    "load_tokenizer",
    "loading",
    "no_pickles",
    "require_plain_files",
]

_GUARD = threading.RLock()
_LONGEST_PROBLEM = 600
# Halves of dual encoders that AutoModel does not know.
_WITHOUT_AUTO = {
    "siglip_text_model": "SiglipTextModel",
    "siglip2_text_model": "Siglip2TextModel",
}


@contextmanager
def loading(where: str) -> Iterator[None]:
    """Turn what a missing, foreign or damaged model raises into a `ModelError` that names it.

    Anything may come out of transformers and its tokenizers, a panic of Rust too.
    """
    try:
        with no_pickles():
            yield
    except (ModelError, RecipeError):
        raise
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    # Whatever a foreign or damaged folder raises inside transformers and its tokenizers: those
    # written in Rust panic with an exception that is no `Exception`.
    except BaseException as error:
        if "trust_remote_code" in str(error):
            raise ModelError(
                "needs code of its own, which rankfield does not run",
                where=where,
                remedy="Choose a model of an architecture that transformers itself has.",
            ) from error
        problem, remedy = _explained(error)
        raise ModelError(problem, where=where, remedy=remedy) from error


def _explained(error: BaseException) -> tuple[str, str]:
    """Return what is wrong with a model that cannot be loaded, and what to do."""
    from huggingface_hub import errors as hub

    fetch = (
        "Fetch it where the hub can be reached (`hf download NAME --local-dir FOLDER`) and give"
        " the folder"
    )
    for cause in _chain(error):
        match cause:
            case hub.GatedRepoError():
                return "is on the hub, but gated", "Ask for access there, then `hf auth login`."
            case hub.RevisionNotFoundError():
                return "has no such revision on the hub", "Name a branch, a tag or a commit of it."
            case hub.RepositoryNotFoundError():
                problem = "there is no such folder, and no such model on the hub"
                return problem, "Check the spelling; for a private model: `hf auth login`."
            case hub.HFValidationError():
                return "there is no such folder, and no hub id is spelt so", "Check the spelling."
            case hub.LocalEntryNotFoundError() | hub.OfflineModeIsEnabled():
                problem = (
                    "there is no such folder, it is not in the hub's cache, "
                    "and the hub cannot be reached"
                )
                return problem, f"Check the spelling and the connection. {fetch}."
    return _unexplained(f"{error} is missing" if isinstance(error, KeyError) else str(error))


def _unexplained(problem: str) -> tuple[str, str]:
    """Return what a library says, cut; or what it lacks where that is all."""
    if "torchvision" in problem and find_spec("torchvision") is None:
        return (
            "its images or videos are prepared by torchvision alone, which is not installed",
            "Install it from where torch came from: pip install torchvision",
        )
    if len(problem) > _LONGEST_PROBLEM:  # transformers lists all of its architectures
        problem = f"{problem[:_LONGEST_PROBLEM]} …"
    return f"cannot be loaded ({problem})", ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def no_pickles() -> Iterator[None]:
    """Let no weights be read but safetensors: whatever a library falls back on is refused.

    `sentence-transformers` reads the `pytorch_model.bin` of its own modules where there are no
    safetensors, whatever is asked of it.
    """
    import torch

    with _GUARD:
        usual = torch.load
        torch.load = _Refusal(usual)  # type: ignore[assignment]
        try:
            yield
        finally:
            torch.load = usual


@contextmanager
def allowed_code() -> Iterator[None]:
    """Lift `no_pickles` for code of the user's own, which reads its weights as it sees fit."""
    import torch

    with _GUARD:
        current = torch.load
        torch.load = current.usual if isinstance(current, _Refusal) else current
        try:
            yield
        finally:
            torch.load = current


class _Refusal:
    """In place of torch.load; `usual` is torch's own, however often it was replaced."""

    def __init__(self, usual: Callable[..., Any]) -> None:
        self.usual: Callable[..., Any] = usual.usual if isinstance(usual, _Refusal) else usual

    def __call__(self, file: object = "", *_: object, **__: object) -> None:
        raise ValueError(
            f"{getattr(file, 'name', file)} is a pickle; only safetensors weights are read:"
            " save the model again with them"
        )


def require_plain_files(source: str | Path) -> None:
    """Look at the files of a model's folder.

    The libraries that read them wait for a pipe, and read a device for ever.

    Raises:
        ModelError: one is no regular file, or a JSON file of more than `MAX_JSON` bytes.
    """
    for folder, _, names in os.walk(source):
        for path in (Path(folder, name) for name in names):
            if not path.exists():  # a link that leads nowhere
                continue
            size = require_regular(path, ModelError)
            if path.suffix == ".json" and size > MAX_JSON:
                raise ModelError(
                    f"{size:,} bytes; at most {MAX_JSON:,} are read",
                    where=str(path),
                    remedy="Is it the right folder?",
                )


def load_model(folder: Path, where: str, *, unused: str = "\0") -> Any:
    """Return the `transformers` model of a folder, float32, on the CPU.

    Each weight is read and converted in turn: there is never a second copy of them all.

    Args:
        folder: of the model.
        where: how to name it in an error.
        unused: weights whose names begin so may be missing.

    Raises:
        ModelError: it cannot be loaded, or weights are missing that would be random.
    """
    import torch
    import transformers

    require_plain_files(folder)
    with loading(where):
        require_modest(folder)
        kind = read_json_object(folder / "config.json").get("model_type")
        loader = getattr(transformers, _WITHOUT_AUTO.get(str(kind), "AutoModel"))
        # A checkpoint in half precision would otherwise be trained in it.
        model, report = loader.from_pretrained(
            folder,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(unused))
    if missing:
        raise ModelError(
            f"its file lacks the weights {listed(missing, 1)} of a {type(model).__name__}",
            where=where,
            remedy="Is it a checkpoint of another kind of model?",
        )
    return model


def load_tokenizer(folder: Path, where: str) -> Any:
    """Return the tokenizer of a folder.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    require_plain_files(folder)
    with loading(where):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
