"""Writes to an index for ever, saying what is done: to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

from rankfield.index import open_index


def main(folder: Path, first: int) -> None:
    index = open_index(folder)
    width = index.metadata.dimension
    for number in range(first, first + 1000):
        ids = [f"new-{number}", "rewritten"]
        vectors = np.full((2, width), float(number), dtype=np.float32)
        documents = pl.DataFrame({"doc_id": ids, "title": f"title {number}", "price": number})
        index.upsert(documents, vectors)
        print(f"wrote {number}", flush=True)
        if number % 2:
            index.delete([f"new-{number}"])
            print(f"deleted {number}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
