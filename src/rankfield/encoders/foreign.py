"""Encoders that other libraries saved, and which kind of encoder a folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankfield.encoders.base import Encoder, Fusion, Side
from rankfield.encoders.composed import ComposedEncoder
from rankfield.encoders.dual import DualEncoder
from rankfield.encoders.folder_kind import (
    MODULES,
    dual_of_modules,
    is_open_clip,
    no_encoder,
    reads_images_as_tokens,
)
from rankfield.encoders.open_clip import OpenClipEncoder
from rankfield.encoders.open_clip_import import import_open_clip
from rankfield.encoders.pooling import Pooling
from rankfield.encoders.pretrained import loading, require_plain_files
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.saved import HEADER, load_saved
from rankfield.encoders.sequence import SequenceEncoder
from rankfield.encoders.sequence_model import (
    load_sequence_model,
    reads_sequences,
    video_settings,
)
from rankfield.encoders.source import as_open_clip, model_folder, model_name
from rankfield.encoders.text_towers import (
    SentenceTransformersTower,
    TextTower,
    TransformersTextTower,
)
from rankfield.encoders.vision_tower import VisionTower
from rankfield.errors import InputError
from rankfield.files import read_json_object
from rankfield.schema import Field, RankingDataset

if TYPE_CHECKING:
    from rankfield.encoders.model import RankingModel

__all__ = [
    "from_pretrained",
    "no_sequence",
    "open_clip_encoder",
    "pretrained_encoder",
    "pretrained_text_tower",
]


def from_pretrained(
    kind: type[RankingModel],
    source: str | Path,
    *,
    query_fields: Sequence[Field] | None,
    document_fields: Sequence[Field] | None,
    query_prefix: str | None,
    document_prefix: str | None,
    pooling: Pooling | None,
    fusion: Fusion | None,
    dataset: RankingDataset | None,
    revision: str | None,
    checkpoint: str | Path | None,
    allow_code: bool,
) -> RankingModel:
    """Return what `RankingModel.from_pretrained` does, on the CPU and of full dimension.

    Raises:
        ModelError, MissingExtraError, InputError, RecipeError: as there.
    """
    where = f"model {source}"
    if checkpoint is not None or as_open_clip(source):
        import_open_clip()  # before anything is fetched
    folder: Path | None = None
    if checkpoint is None:
        folder = model_folder(source, revision=revision, allow_code=allow_code)
    if folder is not None and (folder / HEADER).is_file():
        given = (query_fields, document_fields, query_prefix, document_prefix, pooling, fusion)
        if any(value is not None for value in given):
            raise InputError(
                "is a saved rankfield model, which has fields, prefixes, pooling and fusion of "
                "its own",
                where=where,
                remedy="Leave them out.",
            )
        return load_saved(kind, folder, allow_code=allow_code)
    prefixes = {"query_prefix": query_prefix, "document_prefix": document_prefix}
    if folder is None or as_open_clip(source):
        if fusion == "sequence":
            raise no_sequence(where)
        encoder: Encoder = open_clip_encoder(
            folder or source,
            checkpoint=checkpoint,
            revision=None if folder else revision,
            pooling=pooling,
            **prefixes,
        )
    else:
        encoder = pretrained_encoder(
            folder, where=where, pooling=pooling, fusion=fusion or "fields", **prefixes
        )
    if query_fields is None:
        query_fields = _usual_fields(encoder, "query", dataset, where)
    if document_fields is None:
        document_fields = _usual_fields(encoder, "document", dataset, where)
    return kind(encoder, query_fields, document_fields, name=model_name(source)).eval()


def _usual_fields(
    encoder: Encoder, side: Side, dataset: RankingDataset | None, where: str
) -> list[Field]:
    """Return the fields of a data set that the encoder takes, or "query", "image" and "text"."""
    if dataset is None:
        images = [Field("image", "image")] if "image" in encoder.modalities else []
        if "text" not in encoder.modalities:
            return images
        return [Field("query", "text")] if side == "query" else [*images, Field("text", "text")]
    fields = dataset.query_fields if side == "query" else dataset.document_fields
    found = [field for field in fields if field.modality in encoder.modalities]
    if not found:
        names = ", ".join(f"{field.name} ({field.modality})" for field in fields)
        raise InputError(
            f"takes {' and '.join(sorted(encoder.modalities))}, "
            f"found the {side} fields {names} in {dataset.name}",
            where=where,
            remedy="Take a model of text and images, or other data.",
        )
    return found


def pretrained_encoder(
    folder: Path,
    *,
    where: str,
    query_prefix: str | None = None,
    document_prefix: str | None = None,
    pooling: Pooling | None = None,
    fusion: Fusion = "fields",
) -> Encoder:
    """Return a model of transformers, sentence-transformers or open_clip as an encoder.

    A model with `modules.json` is one of sentence-transformers; of a CLIP in it both halves are
    taken, through transformers. `is_open_clip` tells one of open_clip.

    Args:
        folder: of the model.
        where: how to name it in an error.
        query_prefix, document_prefix: before each text; by default the prompts of a model of
            sentence-transformers, of any other none.
        pooling: of a text model of transformers, as `TransformersTextTower.load`; of one that
            reads texts and images in one sequence the last token by default.
        fusion: "sequence" to read the fields of a record together.

    Raises:
        ModelError: it cannot be loaded, or is of another kind.
        InputError: a pooling for a model that has its own; fusion by sequence, and the model does
            not read texts and images together.
        MissingExtraError: sentence-transformers or open_clip is needed and not installed.
    """
    require_plain_files(folder)
    prefixes = {"query_prefix": query_prefix, "document_prefix": document_prefix}
    with quiet_transformers():
        if reads_images_as_tokens(folder, where):
            found = _sequence_encoder(folder, where, pooling, fusion, **prefixes)
            if found is not None:
                return found
        if fusion == "sequence":
            raise no_sequence(where)
        if is_open_clip(folder):
            return open_clip_encoder(folder, pooling=pooling, **prefixes)
        folder = dual_of_modules(folder, where) or folder
        config = _config(folder, where)
        if config is None or "vocab_size" in config:
            text = pretrained_text_tower(folder, where=where, pooling=pooling)
            return ComposedEncoder(text, None, dimension=None, **prefixes)
        if pooling is not None:
            raise _own_pooling(where, pooling)
        if {"text_config", "vision_config"} <= config.keys():
            given = {name: prefix or "" for name, prefix in prefixes.items()}
            return DualEncoder.from_pretrained(folder, **given)
        return ComposedEncoder(None, VisionTower.load(folder), dimension=None, **prefixes)


def _sequence_encoder(
    folder: Path, where: str, pooling: Pooling | None, fusion: Fusion, **prefixes: str | None
) -> SequenceEncoder | None:
    """Return a model that takes messages of texts and images; None of one that does not."""
    if pooling is not None and (folder / MODULES).is_file():
        raise _own_pooling(where, pooling)
    model = load_sequence_model(folder, where, pooling=pooling)
    if not reads_sequences(model):
        return None
    return SequenceEncoder(model, fusion=fusion, video=video_settings(folder), **prefixes)


def no_sequence(where: str) -> InputError:
    """Return the error of a model that cannot read the fields of a record together."""
    return InputError(
        "does not read texts and images in one sequence, found the fusion 'sequence'",
        where=where,
        remedy="Leave the fusion out, or take a model that does, such as Qwen3-VL-Embedding.",
    )


def open_clip_encoder(
    name: str | Path,
    *,
    checkpoint: str | Path | None = None,
    revision: str | None = None,
    query_prefix: str | None = None,
    document_prefix: str | None = None,
    pooling: Pooling | None = None,
) -> OpenClipEncoder:
    """Return a model of open_clip, by a name of `open_clip_source`.

    Raises:
        ModelError, MissingExtraError: as `OpenClipEncoder.from_pretrained`.
        InputError: a pooling, which it has of its own.
    """
    if pooling is not None:
        raise _own_pooling(f"model {name}", pooling)
    return OpenClipEncoder.from_pretrained(
        name,
        checkpoint=checkpoint,
        revision=revision,
        query_prefix=query_prefix or "",
        document_prefix=document_prefix or "",
    )


def pretrained_text_tower(
    folder: Path,
    *,
    where: str,
    max_tokens: int | None = None,
    pooling: Pooling | None = None,
) -> TextTower:
    """Return a text model of sentence-transformers or transformers.

    Args:
        folder: of the model.
        where: how to name it in an error.
        max_tokens: longer texts are cut; by default the model's own.
        pooling: of a text model of transformers, as `TransformersTextTower.load`.

    Raises:
        ModelError, InputError, MissingExtraError: as `pretrained_encoder`.
    """
    if not (folder / MODULES).is_file():
        return TransformersTextTower.load(folder, max_tokens=max_tokens, pooling=pooling)
    if pooling is not None:
        raise _own_pooling(where, pooling)
    return SentenceTransformersTower.load(folder, max_tokens=max_tokens)


def _config(folder: Path, where: str) -> dict[str, Any] | None:
    """Return the configuration of a model of transformers, None of one of sentence-transformers."""
    if (folder / MODULES).is_file() and dual_of_modules(folder, where) != folder:
        return None
    if (error := no_encoder(folder, where)) is not None:
        raise error
    with loading(where):
        return read_json_object(folder / "config.json")


def _own_pooling(where: str, pooling: str) -> InputError:
    return InputError(
        f"pools by itself, found the pooling {pooling!r}",
        where=where,
        remedy="Leave it out: it is of a text model of transformers.",
    )
