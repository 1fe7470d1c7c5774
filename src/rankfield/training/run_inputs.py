"""Fingerprints of what a run reads beside its recipe and its tables: resuming notices a change."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from rankfield.encoders.fingerprint import model_fingerprint
from rankfield.encoders.source import LOCAL, PACKAGE, model_folder
from rankfield.errors import DataError, ImageError
from rankfield.field_values import flat_values
from rankfield.files import file_sha256
from rankfield.schema import RankingDataset
from rankfield.training.encoder import EncoderSection
from rankfield.training.recipe import Recipe

__all__ = ["FORMER_NAMES", "IMAGES", "TO_BE_FIXED", "file_fingerprint", "run_inputs"]

IMAGES = "images of the data set"
FORMER_NAMES = {"pictures of the data set": IMAGES}
"""Names of inputs in checkpoints of earlier versions → names now."""
TO_BE_FIXED = "to be fixed"
"""In place of a fingerprint: what could not be used may change before the run goes on."""

_UNREADABLE = "unreadable"

_READ_MIB = 256
"""Images of at most this together count by their content, else by their sizes."""


def run_inputs(recipe: Recipe, dataset: RankingDataset) -> dict[str, str]:
    """Return name → fingerprint (16 hexadecimal digits) of what a run reads.

    Files of negatives and judgments, the folders of pretrained models (a hub id counts by its
    name alone), the file of the user's own weight function, the score scale, and the images that
    the tables name: by path and content if all together have at most 256 MiB, else by path and
    size. What cannot be read is "unreadable"; the code that reads it says why.
    """
    found = {"score scale of the data set": _digest(repr(dataset.score_scale))}
    if recipe.negatives.file:
        found[f"negatives.file {recipe.negatives.file}"] = file_fingerprint(recipe.negatives.file)
    for source in recipe.judgments:
        found[f"judgments {source.path}"] = file_fingerprint(source.path)
    for key, folder in _model_folders(recipe.encoder):
        found[f"encoder.{key} {folder}"] = _folder_fingerprint(folder)
    if checkpoint := recipe.encoder.checkpoint:
        found[f"encoder.checkpoint {checkpoint}"] = file_fingerprint(checkpoint)
    module = sys.modules.get(recipe.loss.weight.partition(":")[0])
    if ":" in recipe.loss.weight and module is not None and module.__file__:
        found[f"loss.weight {module.__file__}"] = file_fingerprint(module.__file__)
    images = _image_files(dataset)
    if images:
        found[IMAGES] = _images_fingerprint(images)
    return found


def file_fingerprint(path: str | Path) -> str:
    """Return sha256 of a file's content, as 16 hexadecimal digits, or "unreadable"."""
    try:
        return file_sha256(Path(path))[:16]
    except OSError:
        return _UNREADABLE


def _folder_fingerprint(folder: Path) -> str:
    try:
        return model_fingerprint(folder)
    except OSError:
        return _UNREADABLE


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _model_folders(section: EncoderSection) -> Iterator[tuple[str, Path]]:
    """Yield key → folder of the pretrained models that are on this machine."""
    used = {"composed": ("text_model", "vision_model"), "small": ()}
    for key in used.get(section.kind, ("model",)):
        name: str = getattr(section, key)
        if name.startswith((PACKAGE, LOCAL)) or Path(name or "/none").is_dir():
            yield key, model_folder(name, allow_code=True)


def _image_files(dataset: RankingDataset) -> dict[str, Path]:
    """Return path in the tables → file, of all images in files of their own."""
    found: dict[str, Path] = {}
    for table in ("queries", "documents"):
        for field in dataset.fields(table):
            if field.modality != "image":
                continue
            values = flat_values(dataset.frame(table, [field.name])[field.name])[1]
            for value in values.unique().sort():
                try:
                    source = dataset.image_source(value)
                except (DataError, ImageError):
                    continue
                if isinstance(source, Path):
                    found[value] = source
    return found


def _images_fingerprint(images: dict[str, Path]) -> str:
    digest, total = hashlib.sha256(), 0
    for name, path in images.items():
        size = path.stat().st_size if path.is_file() else -1
        total += max(size, 0)
        digest.update(f"{name}\0{size}\0".encode())
    if total <= _READ_MIB * 2**20:
        for path in images.values():
            if path.is_file():
                digest.update(file_fingerprint(path).encode())
    return digest.hexdigest()[:16]
