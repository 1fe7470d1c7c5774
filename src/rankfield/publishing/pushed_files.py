"""What of a model's folder goes to a hub: its own files, a card, results, the recipe; no rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from rankfield.encoders.saved import HEADER
from rankfield.errors import InputError, ModelError
from rankfield.evaluation import Results
from rankfield.files import MAX_JSON, json_text, read_json_object
from rankfield.nearby import bare_name, is_absolute
from rankfield.parsing import parse_json
from rankfield.paths import read_bytes, require_regular
from rankfield.publishing.saved_card import saved_card
from rankfield.training.published_recipe import LOCAL, recipe_of_metadata

__all__ = ["CARD", "PROOF", "PushedFile", "pushed_files"]

CARD = "README.md"
PROOF = "proof.json"
_RECIPE, _RESULTS = "recipe.toml", "results.json"
_SUFFIXES = frozenset(
    [
        *(".json", ".toml", ".md", ".txt", ".model", ".jinja", ".xml", ".sd", ".zip"),
        *(".safetensors", ".onnx", ".onnx_data", ".data", ".bin", ".pt"),
    ]
)
"""Of the files that models consist of; tables, images and logs are none of them."""
_BASE_NAMES = ("_name_or_path", "name_or_path")
"""Keys under which libraries write where a model came from."""


@dataclass(frozen=True)
class PushedFile:
    """A file of the repository: its path there, and where its `size` bytes are."""

    name: str
    source: Path | bytes
    size: int

    def read(self) -> bytes:
        """Return the contents."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


def pushed_files(
    folder: Path, repository: str, *, card: Path | None = None, results: Sequence[Path] = ()
) -> tuple[list[PushedFile], list[str]]:
    """Return the files that go to the hub, by name, and the names of those that stay here.

    The folder's own files of the kinds that models consist of; hidden files, links that lead out
    of the folder, tables, images and logs stay. An absolute path under `_name_or_path` becomes its
    last part. Of results only the means go, without the tables of queries and documents.

    Args:
        folder: a model that `save` wrote, or what `publish` wrote.
        repository: "user/name", which a card that is made here names.
        card: a model card, in place of the folder's own README.md; a saved model without either
            gets a `saved_card`.
        results: files of `rankfield evaluate --out`.

    Raises:
        ModelError: it is neither of these.
        InputError: a file that cannot be read, a second file of a name.
    """
    _require_model(folder)
    found, left_out = {}, []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if _goes(path, folder):
            found[name] = _own_file(path, name)
        else:
            left_out.append(name)
    header = read_json_object(folder / HEADER) if (folder / HEADER).is_file() else {}
    made_by = header.get("made")
    recipe = recipe_of_metadata(made_by) if isinstance(made_by, Mapping) else {}
    made = {_RECIPE: tomli_w.dumps(recipe).encode()} if recipe else {}
    if card is not None:
        found.pop(CARD, None)
        made[CARD] = read_bytes(card, MAX_JSON)
    elif header and CARD not in found:
        made[CARD] = saved_card(header, repository, recipe).encode()
    made |= _results(results)
    for name, data in made.items():
        if name in found and name != _RECIPE:
            raise InputError(f"{name} is in the model's folder already", where=str(folder))
        found[name] = PushedFile(name, data, len(data))
    return [found[name] for name in sorted(found)], left_out


def _require_model(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError("there is no such folder", where=str(folder))
    if any((place / name).is_file() for place in _places(folder) for name in (HEADER, PROOF)):
        return
    nested = folder / "model" / HEADER
    remedy = (
        f"Give {folder / 'model'}."
        if nested.is_file()
        else ("Give the folder `model` of a training run, or what `rankfield publish` wrote.")
    )
    raise ModelError(
        "neither a rankfield model nor a published one", where=str(folder), remedy=remedy
    )


def _places(folder: Path) -> Iterator[Path]:
    """Yield the folder and, of several layouts published at once, each one's."""
    yield folder
    if not (folder / "log.jsonl").is_file():  # a training run
        yield from (path for path in sorted(folder.iterdir()) if (path / PROOF).is_file())


def _goes(path: Path, folder: Path) -> bool:
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        return False
    return path.suffix in _SUFFIXES and path.resolve().is_relative_to(folder.resolve())


def _own_file(path: Path, name: str) -> PushedFile:
    try:
        size = require_regular(path)
        if path.suffix == ".json" and size <= MAX_JSON:
            data = read_bytes(path, MAX_JSON)
            cleaned = _without_base_path(data)
            if cleaned is not None:
                return PushedFile(name, cleaned, len(cleaned))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error
    return PushedFile(name, path, size)


def _without_base_path(data: bytes) -> bytes | None:
    """Return a JSON file with the bare name of a base model that was a folder, or None."""
    if not any(key.encode() in data for key in _BASE_NAMES):
        return None
    try:
        value = parse_json(data.decode())
    except ValueError:
        return None
    if not _bare(value):
        return None
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _bare(value: Any) -> bool:
    """Shorten the paths of base models in nested values; return whether there were any."""
    changed = False
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _BASE_NAMES and isinstance(inner, str) and is_absolute(inner):
                value[key] = LOCAL + bare_name(inner)
                changed = True
            else:
                changed |= _bare(inner)
    elif isinstance(value, list):
        for inner in value:
            changed |= _bare(inner)
    return changed


def _results(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return the means of each file of results, without places and tables."""
    found = {}
    for path in paths:
        name = _RESULTS if len(paths) == 1 else f"results/{path.stem}.json"
        if name in found:
            raise InputError("two results of one name", where=str(path), remedy="Rename one.")
        found[name] = (json_text(Results.load(path).to_json()) + "\n").encode()
    return found
