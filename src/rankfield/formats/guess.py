"""Which layout a file or folder is in."""

from __future__ import annotations

from pathlib import Path

from rankfield.errors import DataError
from rankfield.foreign_files import own_paths
from rankfield.formats.layout import Layout
from rankfield.formats.registry import LAYOUTS

__all__ = ["guess_layout"]

_ARCHIVES = (".zip", ".tar", ".tgz", ".7z")
_LOOKED_INTO = 50


def guess_layout(src: str | Path) -> tuple[Layout, str]:
    """Return the one layout that `src` looks like, and why.

    Raises:
        DataError: there is no such file, or it looks like none of the layouts or like several;
            names what was looked for.
    """
    path = Path(src)
    if not path.exists():
        raise DataError(
            "there is no such file or folder", where=str(path), remedy="Look at the spelling."
        )
    if (path / "dataset.toml").is_file() and (path / "documents.parquet").is_file():
        raise DataError(
            "is a ranking data set already",
            where=str(path),
            remedy=f"Use it as it is, or look at it with `rankfield check {path}`.",
        )
    found = _found(path)
    if len(found) == 1:
        ((name, reason),) = found.items()
        return LAYOUTS[name], reason
    if found:
        shown = "; ".join(f"{name} ({reason})" for name, reason in found.items())
        raise DataError(
            f"looks like several layouts: {shown}",
            where=str(path),
            remedy=f"Say which: rankfield import {next(iter(found))} {path} OUT.",
        )
    raise _unknown(path)


def _found(path: Path) -> dict[str, str]:
    """Return layout → why a source looks like it; general layouts yield to others."""
    reasons = {layout.name: layout.looks_like(path) for layout in LAYOUTS.values()}
    found = {name: reason for name, reason in reasons.items() if reason is not None}
    return {n: r for n, r in found.items() if not LAYOUTS[n].general} or found


def _unknown(path: Path) -> DataError:
    if path.is_file() and path.suffix.lower() in _ARCHIVES:
        return DataError("is an archive", where=str(path), remedy="Unpack it first.")
    within = own_paths(path.iterdir(), path) if path.is_dir() else []
    for inner in within[:_LOOKED_INTO]:
        if found := _found(inner):
            return DataError(
                f"looks like no layout, but {inner.name} in it like {' or '.join(found)}",
                where=str(path),
                remedy=f"Name that: rankfield import {next(iter(found))} {inner} OUT.",
            )
    names = ", ".join(inner.name for inner in within[:12]) or "nothing"
    looked = "; ".join(f"{layout.name}: {layout.signs}" for layout in LAYOUTS.values())
    return DataError(
        f"looks like no layout that is known{f'; it holds {names}' if path.is_dir() else ''}."
        f" Looked for {looked}",
        where=str(path),
        remedy="Name the layout and its files: rankfield import LAYOUT --help.",
    )
