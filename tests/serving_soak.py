"""Does a service's memory stay flat? Many clients search while documents are written.

    python tests/serving_soak.py --minutes 10 --clients 32

Clients ask other words each time, a twentieth of the requests write or delete documents. The
resident memory is looked at each second; its growth over the last two thirds of the time, by a
straight line, must stay below 5 % of it, and no answer may be an error. pytest does not collect
this.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2
import numpy as np
import psutil

from rankfield.index import open_index
from served_process import Served, started
from served_shop import made_shop

_GROWTH = 0.05
_WRITES = 0.05
_KEPT = 200
"""Documents that are written again and again."""


def main() -> int:
    """Run the clients; 1 if memory grew or an answer was an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args()
    statuses: Counter[int] = Counter()
    with tempfile.TemporaryDirectory(prefix="rankfield-soak-") as folder:
        root = Path(folder)
        made_shop(root)
        with started(root, "--data", str(root / "data")) as process:
            end = time.monotonic() + 60 * options.minutes
            threads = [
                threading.Thread(target=_client, args=(process, number, end, statuses))
                for number in range(options.clients)
            ]
            for thread in threads:
                thread.start()
            memory = _watched(process.process.pid, end)
            for thread in threads:
                thread.join()
            process.stop()
        files = sum(1 for _ in (root / "index").iterdir())
        documents = len(open_index(root / "index"))
    later = memory[len(memory) // 3 :]
    slope, _ = np.polyfit(np.arange(len(later)), later, 1)
    growth = float(slope * len(later) / np.mean(later))
    print(
        f"{statuses.total():,} requests, statuses {dict(statuses)}; memory {memory[0]:.0f} MiB at "
        f"first, {np.median(later):.0f} later, at most {max(memory):.0f}, growth {growth:+.1%}; "
        f"{documents} documents in {files} files"
    )
    return int(growth > _GROWTH or set(statuses) != {200})


def _watched(pid: int, end: float) -> list[float]:
    """Return the resident memory of a process at each second, in MiB."""
    process, found = psutil.Process(pid), []
    while time.monotonic() < end:
        found.append(process.memory_info().rss / 2**20)
        if len(found) % 30 == 0:
            print(f"{len(found)} s: {found[-1]:.0f} MiB", flush=True)
        time.sleep(1)
    return found


def _client(process: Served, number: int, end: float, statuses: Counter[int]) -> None:
    chance = random.Random(number)
    with httpx2.Client(base_url=process.url, timeout=120) as client:
        while time.monotonic() < end:
            statuses[_request(client, chance).status_code] += 1


def _request(client: httpx2.Client, chance: random.Random) -> httpx2.Response:
    doc_id = f"s{chance.randrange(_KEPT)}"
    draw = chance.random()
    if draw < _WRITES / 2:
        document = {"doc_id": doc_id, "title": f"red {chance.random()}", "stock": 1}
        return client.post("/v1/documents", json={"documents": [document]})
    if draw < _WRITES:
        return client.request("DELETE", "/v1/documents", json={"ids": [doc_id]})
    return client.post("/v1/search", json={"query": f"red box {chance.random()}"})


if __name__ == "__main__":
    sys.exit(main())
