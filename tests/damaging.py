"""What a disk does to files: truncated, a bit flipped, gone."""

from __future__ import annotations

import random
from pathlib import Path

__all__ = ["DAMAGES", "damaged_at_random"]

DAMAGES = ("truncated", "flipped", "missing")


def damaged_at_random(folder: Path, kind: str, chance: random.Random) -> str:
    """Damage one file in a folder at a random place, and return its name in the folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
    path = chance.choice(files)
    if kind == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        place = chance.randrange(len(content))
        if kind == "flipped":
            content[place] ^= 1 << chance.randrange(8)
        path.write_bytes(content if kind == "flipped" else content[:place])
    return path.relative_to(folder).as_posix()
