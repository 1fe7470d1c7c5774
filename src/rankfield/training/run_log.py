"""A run's `log.jsonl`: one JSON object per line, written by the main process, cut on resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rankfield.durable import sync
from rankfield.files import new_file, no_follow
from rankfield.parsing import parse_json

__all__ = ["RunLog"]


class RunLog:
    """Lines {"event": …, "step": …, …} in a file, and their figures for the trackers.

    Args:
        path: the file; its folder must exist when something is written.
        accelerator: accelerate's, of which only the main process writes.
    """

    def __init__(self, path: Path, accelerator: Any) -> None:
        self.path, self.accelerator = path, accelerator

    def write(self, event: str, step: int, values: dict[str, Any]) -> None:
        """Append a line; its floats and those of its `splits` go to the trackers as event/name."""
        if not self.accelerator.is_main_process:
            return
        self.note(event, step, values)
        flat = {f"{event}/{k}": v for k, v in values.items() if isinstance(v, float)}
        flat |= {f"{event}/{k}": v for k, v in values.get("splits", {}).items()}
        self.accelerator.log(flat, step=step)

    def note(self, event: str, step: int, values: dict[str, Any]) -> None:
        """Append a line that is not for trackers, which want steps in their order."""
        if not self.accelerator.is_main_process:
            return
        line = {"event": event, "step": step, **values}
        # a resumed run may be a stranger's: its log must not be a link
        with open(self.path, "a", encoding="utf-8", opener=no_follow) as file:
            file.write(json.dumps(line) + "\n")

    def sync(self) -> None:
        """Have all lines written to the disk."""
        if self.path.is_file():
            sync(self.path)

    def cut(self, step: int) -> None:
        """Drop what an interrupted run logged after this step, that of its last checkpoint."""
        if not self.path.is_file() or not self.accelerator.is_main_process:
            return
        kept = []
        for line in self.path.read_text("utf-8", errors="replace").splitlines():
            try:
                if parse_json(line, finite=False)["step"] <= step:
                    kept.append(line)
            except (ValueError, TypeError, KeyError):
                break  # a crash or a full disk cut the line short
        with new_file(self.path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept), "utf-8")
