"""Which layout a file or folder is in."""

from __future__ import annotations

from pathlib import Path

from rankfield.errors import DataError
from rankfield.formats.registry import LAYOUTS, Layout

__all__ = ["guess_layout"]


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
    found = {
        layout.name: reason
        for layout in LAYOUTS.values()
        if (reason := layout.looks_like(path)) is not None
    }
    found = {n: r for n, r in found.items() if not LAYOUTS[n].general} or found
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
    inside = sorted(p.name for p in path.iterdir())[:12] if path.is_dir() else []
    holds = f"; it holds {', '.join(inside) or 'nothing'}" if path.is_dir() else ""
    looked = "; ".join(f"{layout.name}: {layout.signs}" for layout in LAYOUTS.values())
    raise DataError(
        f"looks like no layout that is known{holds}. Looked for {looked}",
        where=str(path),
        remedy="Name the layout and its files: rankfield import LAYOUT --help.",
    )
