"""Kill a service and builds of an index at many random moments; what was acknowledged is there.

    python tests/kill_serving.py --kills 20 --builds 20

While the service is killed, one client writes and deletes documents and two raters grade. After
each kill a newest file is truncated too: the index then opens at the version before, and says so.
Builds that were killed go on and equal an uninterrupted one to the bit. Exits with 1 if anything
is lost. pytest collects a few of these only.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, suppress
from pathlib import Path

import httpx2
import numpy as np

from killing import killable_commands
from rankfield.index import open_index
from rankfield.index.metadata import read_header
from served_process import Served, started
from served_shop import made_shop, shop_data

_BUILT = 6_000


def main() -> int:
    """Run all kills; 1 if a write was lost or a build differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--builds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    lost: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rankfield-kills-") as folder:
        root = Path(folder)
        made_shop(root)
        shutil.move(root / "index", root / "index-before")
        written = 0
        for number in range(options.kills):
            found, count = _killed_service(root, chance)
            lost += [f"kill {number}: {one}" for one in found]
            written += count
            print(f"{number + 1} kills, {written:,} acknowledged, {len(lost)} lost", flush=True)
        lost += _killed_builds(root, options.builds, chance)
    for one in lost:
        print(f"LOST: {one}")
    return int(bool(lost))


class _Acknowledged:
    """What a service said that it has done."""

    def __init__(self) -> None:
        self.documents: dict[str, int | None] = {}
        """Of each document the stock last written, None once it is deleted."""
        self.judgments: set[tuple[str, str, float]] = set()
        self.count = 0


def _killed_service(root: Path, chance: random.Random) -> tuple[list[str], int]:
    """Return what a kill lost, and how many writes were acknowledged before it."""
    shutil.rmtree(root / "index", ignore_errors=True)
    shutil.rmtree(root / "data-of-raters", ignore_errors=True)
    shutil.copytree(root / "index-before", root / "index")
    done = _Acknowledged()
    with started(root, "--data", str(root / "data-of-raters")) as process:
        works = [
            _documents(process, done),
            _grades(process, done, "a"),
            _grades(process, done, "b"),
        ]
        threads = [threading.Thread(target=_until_killed, args=(work, done)) for work in works]
        for thread in threads:
            thread.start()
        while done.count < 3 and all(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 2))
        process.process.kill()
        for thread in threads:
            thread.join()
    return _missing(root, done) + _truncated(root, chance), done.count


def _until_killed(work: Iterator[None], done: _Acknowledged) -> None:
    with suppress(httpx2.TransportError):
        for _ in work:
            done.count += 1


def _documents(process: Served, done: _Acknowledged) -> Iterator[None]:
    """Write two documents and delete one of them, again and again."""
    with httpx2.Client(base_url=process.url, timeout=60) as client:
        for number in range(100_000):
            new = [
                {"doc_id": doc_id, "title": f"red {number}", "stock": number}
                for doc_id in (f"k{number}", "rewritten")
            ]
            done.documents.pop("rewritten", None)  # either stock may be there until the answer
            assert client.post("/v1/documents", json={"documents": new}).status_code == 200
            done.documents |= {f"k{number}": number, "rewritten": number}
            yield
            if number % 2:
                gone = f"k{number - 1}"
                done.documents.pop(gone)
                body = {"ids": [gone]}
                assert client.request("DELETE", "/v1/documents", json=body).status_code == 200
                done.documents[gone] = None
                yield


def _grades(process: Served, done: _Acknowledged, rater: str) -> Iterator[None]:
    """Grade as one of several raters."""
    with httpx2.Client(base_url=process.url, timeout=60) as client:
        for number in range(100_000):
            judged = {"query_id": "q1", "doc_id": f"k{number}", "score": number, "rater": rater}
            answer = client.post("/v1/judgments", json={"judgments": [judged]})
            assert answer.status_code == 200, answer.text
            done.judgments.add((rater, f"k{number}", float(number)))
            yield


def _missing(root: Path, done: _Acknowledged) -> list[str]:
    """Return which acknowledged writes are not there, or are there although deleted."""
    frame = open_index(root / "index").documents()
    kept = dict(zip(frame["doc_id"].to_list(), frame["stock"].to_list(), strict=True))
    found = [
        f"document {one}: expected stock {stock}, found {kept.get(one)}"
        for one, stock in done.documents.items()
        if kept.get(one) != stock
    ]
    journal = root / "data-of-raters" / "judgments.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    judged = {(line.get("rater"), line["doc_id"], line["score"]) for line in lines}
    return found + [f"judgment {one}" for one in sorted(done.judgments - judged)]


def _truncated(root: Path, chance: random.Random) -> list[str]:
    """Truncate a file of the newest version; return what is wrong with what is opened then."""
    folder = root / "index"
    newest = read_header(folder).state["version"]
    files = sorted(one for one in folder.glob(f"*-{newest}.*") if one.stat().st_size)
    if not newest or not files:  # there is nothing before the first version
        return []
    file = chance.choice(files)
    file.write_bytes(file.read_bytes()[: chance.randrange(file.stat().st_size)])
    said = io.StringIO()
    with redirect_stderr(said):
        opened = open_index(folder)
    if "its newest version is damaged" not in said.getvalue():
        return [f"{file.name} is truncated, and nothing says so"]
    vectors = opened.vectors(opened.documents()["doc_id"])
    return [] if np.isfinite(vectors).all() else [f"{file.name}: vectors are damaged"]


def _killed_builds(root: Path, kills: int, chance: random.Random) -> list[str]:
    """Return which of the builds that were killed differ from an uninterrupted one."""
    shop_data(_BUILT).save(root / "catalogue")
    words = ("index", root / "model", root / "catalogue", "--out")
    found: list[str] = []
    with killable_commands("rankfield.index", "rankfield.encoders") as start:
        seconds = _timed(lambda: start(*words, root / "whole").wait())
        whole = _content(root / "whole")
        killed = number = 0
        while killed < kills and number < 5 * kills:
            number += 1
            out = root / f"built-{number}"
            run = start(*words, out)
            time.sleep(chance.uniform(0, seconds))
            killed += run.kill() == -9
            if not (out / "index.json").is_file():
                assert start(*words, out).wait() == 0
            if _content(out) != whole:
                found.append(f"build {number} differs from an uninterrupted one")
            shutil.rmtree(out)
        print(f"{killed} builds killed in {number} ({seconds:.1f} s each), {len(found)} differ")
    return found


def _timed(work: Callable[[], int]) -> float:
    start = time.monotonic()
    assert work() == 0
    return time.monotonic() - start


def _content(folder: Path) -> tuple[bytes, bytes]:
    """Return what searches see of an index: its documents and their vectors."""
    index = open_index(folder)
    documents = index.documents()
    return documents.write_csv().encode(), index.vectors(documents["doc_id"]).tobytes()


if __name__ == "__main__":
    sys.exit(main())
