"""What the benchmarks over prepared sets share: options, figures kept by set, and the page."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from worker import ROOT, Settings

__all__ = ["figures_by_set", "read_figures", "set_options", "write_figures", "write_page"]

HERE = Path(__file__).parent


def set_options(description: str | None, sets: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return a parser of SET … (of `sets`, all by default), --out, --data, --cranfield, --workers.

    Without `sets` there is no SET.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    if sets:
        parser.add_argument(
            "sets", nargs="*", metavar="SET", default=sets, help=f"{', '.join(sets)} if left out"
        )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "fair")
    parser.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    parser.add_argument("--cranfield", type=Path, help="folder of the collection's three files")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    return parser


def read_figures(name: str) -> Settings:
    """Return the figures that are kept under a name; empty if there are none."""
    path = _file(name)
    found: Settings = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return found


def write_figures(name: str, found: Settings) -> None:
    """Keep figures under a name."""
    _file(name).write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def write_page() -> None:
    """Write RESULTS.md from all figures."""
    subprocess.run([sys.executable, str(HERE / "results_page.py")], check=True)


def figures_by_set(name: str, sets: Sequence[str], made: Callable[[str], Settings]) -> None:
    """Make the figures of each set, keep each beside those of other sets, and write the page."""
    found = read_figures(name)
    for one in sets:
        found[one] = made(one)
        write_figures(name, found)
    write_page()


def _file(name: str) -> Path:
    return HERE / "results" / f"{name}.json"
