"""One of P processes of a sharded search: `shard_worker.py FOLDER RANK PROCESSES`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from torch import distributed

from rankfield.search import sharded_search


def main(folder: Path, rank: int, processes: int) -> None:
    """Write what this process found to FOLDER/RANK-K.npz; 400 is more than a shard holds."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=processes
    )
    documents = np.load(folder / "documents.npy", mmap_mode="r")
    for k in (7, 400):
        hits = sharded_search(np.load(folder / "queries.npy"), documents, k)
        np.savez(folder / f"{rank}-{k}.npz", indices=hits.indices, scores=hits.similarities)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
