"""Where a run keeps its checkpoints, and which of them it goes on from: the newest whole one."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankfield.durable import sync
from rankfield.errors import ModelError
from rankfield.files import remove_unused
from rankfield.training.accelerator import from_main_process
from rankfield.training.manifest import damage

__all__ = [
    "FOLDER",
    "FoundCheckpoint",
    "checkpoints",
    "found_checkpoint",
    "has_checkpoint",
    "next_checkpoint",
    "prune",
    "set_aside",
]

FOLDER = "checkpoints"
_FORMER = "checkpoint"
"""Of earlier versions: the only one, without a manifest."""
_NAME = re.compile(r"step-(\d{6,18})(?:-(\d{1,9}))?")


@dataclass(frozen=True)
class FoundCheckpoint:
    """A whole checkpoint, and why newer ones are passed over (in the main process only)."""

    path: Path
    damaged: dict[Path, str] = field(default_factory=dict)


def has_checkpoint(out: Path) -> bool:
    """Return whether there is a checkpoint in the folder of a run, whole or not."""
    return bool(checkpoints(out))


def checkpoints(out: Path) -> list[Path]:
    """Return the checkpoints in the folder of a run, newest first."""
    found = [path for _, path in sorted(_numbered(out).items(), reverse=True)]
    former = out / _FORMER
    return [*found, *([former] if (former / "progress.json").is_file() else [])]


def next_checkpoint(out: Path, step: int) -> Path:
    """Return where the checkpoint after so many steps goes: nothing is there yet.

    `checkpoints/step-000400`, or `step-000400-2` if that step has one already, which stays until
    the new one is whole.
    """
    attempts = [attempt for number, attempt in _numbered(out) if number == step]
    name = f"step-{step:06d}" + (f"-{max(attempts) + 1}" if attempts else "")
    return out / FOLDER / name


def found_checkpoint(out: Path, accelerator: Any) -> FoundCheckpoint:
    """Return the newest whole checkpoint of a run; the main process looks for all of them.

    One of an earlier version has no manifest: it is taken as it is.

    Raises:
        ModelError: none is whole, or there is none.
    """
    found: FoundCheckpoint | None = None
    damaged: dict[Path, str] = {}
    if accelerator.is_main_process:
        found, damaged = _newest_whole(out)
    name = from_main_process(found.path.name if found else "", accelerator)
    if not name:
        raise _none_whole(out, damaged)
    if found is not None:
        return found
    path = next((path for path in checkpoints(out) if path.name == name), None)
    if path is None:
        raise ModelError(
            f"this process does not see the checkpoint {name}, from which the run goes on",
            where=str(out),
            remedy="All processes must share the run's folder.",
        )
    return FoundCheckpoint(path)


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint, so that nothing reads or removes it, and return its new path."""
    target = path.with_name(f"damaged-{path.name}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"damaged-{path.name}-{number}")
    path.rename(target)
    sync(target.parent)
    return target


def prune(out: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what a killed run left half-written.

    Each is renamed first: at no moment is a part of one taken for a checkpoint.
    """
    for path in checkpoints(out)[keep:]:
        going = out / FOLDER / f".{path.name}.removed"
        shutil.rmtree(going, ignore_errors=True)
        path.rename(going)
    if (out / FOLDER).is_dir():
        for path in (out / FOLDER).glob(".*"):
            remove_unused(path)


def _numbered(out: Path) -> dict[tuple[int, int], Path]:
    """Return step and attempt → checkpoint."""
    found = {}
    if (out / FOLDER).is_dir():
        for path in (out / FOLDER).iterdir():
            match = _NAME.fullmatch(path.name)
            if match is not None and path.is_dir() and not path.is_symlink():
                found[int(match[1]), int(match[2] or 1)] = path
    return found


def _newest_whole(out: Path) -> tuple[FoundCheckpoint | None, dict[Path, str]]:
    damaged: dict[Path, str] = {}
    for path in checkpoints(out):
        wrong = None if path.name == _FORMER else damage(path)
        if wrong is None:
            return FoundCheckpoint(path, damaged), damaged
        damaged[path] = wrong
    return None, damaged


def _none_whole(out: Path, damaged: dict[Path, str]) -> ModelError:
    said = "; ".join(f"{path.name}: {wrong}" for path, wrong in damaged.items())
    return ModelError(
        f"no checkpoint is whole ({said or 'the main process says why'})",
        where=str(out / FOLDER),
        remedy="Put the files back as they were, or start a new run in another folder.",
    )
