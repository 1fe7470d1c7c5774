"""Encoders that other libraries saved, by hub id or folder, and which kind of encoder each is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rankfield.encoders.base import Encoder
from rankfield.encoders.composed import ComposedEncoder
from rankfield.encoders.dual import DualEncoder
from rankfield.encoders.pretrained import loading, require_plain_files
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.saved import HEADER, load_saved
from rankfield.encoders.towers import SentenceTransformersTower, TransformersTextTower, VisionTower
from rankfield.errors import InputError, ModelError
from rankfield.files import read_json_object
from rankfield.schema import Field

if TYPE_CHECKING:
    from rankfield.encoders.model import RankingModel

__all__ = ["from_pretrained"]

_MODULES, _CONFIG = "modules.json", "config.json"


def from_pretrained(
    kind: type[RankingModel],
    source: str | Path,
    *,
    query_fields: Sequence[Field] | None,
    document_fields: Sequence[Field] | None,
    query_prefix: str | None,
    document_prefix: str | None,
) -> RankingModel:
    """Return what `RankingModel.from_pretrained` does, on the CPU and of full dimension.

    Raises:
        ModelError, MissingExtraError, InputError: as there.
    """
    if (Path(source) / HEADER).is_file():
        given = (query_fields, document_fields, query_prefix, document_prefix)
        if any(value is not None for value in given):
            raise InputError(
                "is a saved rankfield model, which has fields and prefixes of its own",
                where=f"model {source}",
                remedy="Leave them out.",
            )
        return load_saved(kind, source)
    encoder = _foreign_encoder(source, query_prefix, document_prefix)
    images = [Field("image", "image")] if "image" in encoder.modalities else []
    texts = "text" in encoder.modalities
    if query_fields is None:
        query_fields = [Field("query", "text")] if texts else images
    if document_fields is None:
        document_fields = [*images, Field("text", "text")] if texts else images
    name = Path(source).name
    return kind(encoder, query_fields, document_fields, name=name).eval()


def _foreign_encoder(
    source: str | Path, query_prefix: str | None, document_prefix: str | None
) -> Encoder:
    """Return a model of transformers or sentence-transformers as an encoder.

    A model with `modules.json` is one of sentence-transformers. Of a text model of transformers
    the mean of the tokens' states is taken.

    Raises:
        ModelError: it cannot be reached or loaded, or is of another kind.
        MissingExtraError: sentence-transformers is needed and not installed.
    """
    require_plain_files(source)
    with quiet_transformers():
        if _model_file(source, _MODULES) is not None:
            text = SentenceTransformersTower.load(source)
            prefixes = {
                "query_prefix": _prompt(text, query_prefix, "query"),
                "document_prefix": _prompt(text, document_prefix, "document", "passage", "corpus"),
            }
            return ComposedEncoder(text, None, dimension=None, **prefixes)
        prefixes = {"query_prefix": query_prefix or "", "document_prefix": document_prefix or ""}
        path = _model_file(source, _CONFIG)
        if path is None:
            raise ModelError(
                f"has neither {_CONFIG} nor {_MODULES}",
                where=f"model {source}",
                remedy="Give a folder that transformers, sentence-transformers or rankfield saved.",
            )
        with loading(f"model {source}"):
            config = read_json_object(path)
        if {"text_config", "vision_config"} <= config.keys():
            return DualEncoder.from_pretrained(source, **prefixes)
        if "vocab_size" in config:
            tower = TransformersTextTower.load(source)
            return ComposedEncoder(tower, None, dimension=None, **prefixes)
        return ComposedEncoder(None, VisionTower.load(source), dimension=None, **prefixes)


def _prompt(tower: SentenceTransformersTower, given: str | None, *names: str) -> str:
    """Return the prefix that is given, else the first of the model's prompts of these names."""
    if given is not None:
        return given
    return next((tower.prompts[name] for name in names if tower.prompts.get(name)), "")


def _model_file(source: str | Path, name: str) -> Path | None:
    """Return a file of a model, fetched from the hub if need be; None if the model has none.

    Raises:
        ModelError: neither a folder nor a model of the hub, or the hub cannot be reached.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    root = Path(source)
    if root.is_dir():
        return root / name if (root / name).is_file() else None
    with loading(f"model {source}"):
        try:
            return Path(hf_hub_download(str(source), name))
        except LocalEntryNotFoundError:
            # Offline, the cache need not say what a model does not have.
            if isinstance(try_to_load_from_cache(str(source), _CONFIG), str) and name != _CONFIG:
                return None
            raise
        except EntryNotFoundError:
            return None
