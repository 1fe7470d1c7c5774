"""Places of this machine and keys in files that are about to be published."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from rankfield.errors import InputError
from rankfield.publishing.pushed_files import PushedFile
from rankfield.terminal import one_line

__all__ = ["refuse_private"]

_TEXTS = frozenset([".json", ".md", ".toml", ".xml", ".sd", ".jinja", ".txt"])
_VOCABULARIES = frozenset(["tokenizer.json", "vocab.json", "vocab.txt", "merges.txt"])
"""Words of a language, among which any short text may stand."""
_LARGEST = 1 << 24
_SHORTEST_KEY = 12
_KEY_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.I)
_KEYS = re.compile(
    r"\bhf_[A-Za-z0-9]{30,}|\bsk-[\w-]{20,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
"""Keys of the hub, of language models, of AWS and GitHub; private keys."""
_HOMES = r"(?:/home/|/Users/|/root/|[A-Za-z]:\\Users\\)[^\s\"'<>]+"


def refuse_private(files: Sequence[PushedFile], folder: Path, keys: Sequence[str]) -> None:
    """Look for paths of this machine and for keys in the texts among these files.

    Sought are the user's home, the model's own folder, and paths in any user's home; the keys
    given, values of environment variables that are named like keys, and what has the form of a
    well-known provider's key.

    Args:
        files: what is about to be published.
        folder: where it lies.
        keys: secrets that are known, such as the hub's token.

    Raises:
        InputError: one is found; says in which file and what kind, never the key itself.
    """
    secrets = [key for key in (*keys, *_environment_keys()) if len(key) >= _SHORTEST_KEY]
    local = _local_places(folder)
    for file in files:
        name = PurePosixPath(file.name)
        if name.suffix not in _TEXTS or name.name in _VOCABULARIES or file.size > _LARGEST:
            continue
        text = file.read().decode("utf-8", "replace")
        if _KEYS.search(text) or any(secret in text for secret in secrets):
            raise _refused(
                file, "holds a key", "Take it out, and have it replaced: it may be known."
            )
        place = local.search(text.replace("\\\\", "\\"))
        if place is not None:
            problem = f"names a place of this machine, {one_line(place[0])}"
            raise _refused(file, problem, "Take it out.")


def _refused(file: PushedFile, problem: str, remedy: str) -> InputError:
    where = str(file.source) if isinstance(file.source, Path) else file.name
    return InputError(problem, where=where, remedy=f"{remedy} Nothing was sent.")


def _environment_keys() -> Iterator[str]:
    for name, value in os.environ.items():
        if _KEY_NAMES.search(name) and not value.startswith("/"):
            yield value


def _local_places(folder: Path) -> re.Pattern[str]:
    """Return a pattern of the model's folder, the user's home, and folders in anyone's home."""
    places = [folder.resolve()]
    with suppress(RuntimeError):
        places.append(Path.home())
    # "/model" may stand in any address
    own = [re.escape(str(place)) for place in places if len(place.parts) > 2]
    return re.compile(rf"(?<![\w.])(?:{'|'.join([*own, _HOMES])})(?!\w)")
