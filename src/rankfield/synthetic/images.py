"""Product images as files, drawn by several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from os import cpu_count
from pathlib import Path

import numpy as np

from rankfield.errors import OutputError
from rankfield.progress import Advance, progress
from rankfield.synthetic.catalogue import BLOCK, catalogue_blocks
from rankfield.synthetic.drawing import draw_image
from rankfield.terminal import echo

__all__ = ["draw_images", "image_path", "work"]

_FOLDER_HOLDS = 1000
_QUALITY = 88
_WORTH_A_WORKER = 200
"""A worker takes half a second to start: fewer images than this are not worth another one."""


def image_path(row: int) -> str:
    """Return the path of a product's image inside the data set's folder."""
    return f"images/{row // _FOLDER_HOLDS:04d}/p{row:07d}.jpg"


def draw_images(
    folder: Path, documents: int, *, seed: int, size: int, workers: int | None = None
) -> None:
    """Draw the image of every product into `folder`, `size` × `size` pixels, as JPEG.

    Each image has a random stream of its own, so that the files are the same for any number of
    workers. Workers are new interpreters, not forks: the caller may hold threads and locks.
    """
    for start in range(0, documents, _FOLDER_HOLDS):
        (folder / image_path(start)).parent.mkdir(parents=True, exist_ok=True)
    workers = min(workers or cpu_count() or 1, -(-documents // _WORTH_A_WORKER))
    bounds = np.linspace(0, documents, workers + 1).astype(int).tolist()
    with progress("images", documents, unit="images") as advance:
        if workers == 1:
            _draw_rows(folder, start=0, stop=documents, seed=seed, size=size, done=advance)
            return
        tasks = [
            {"folder": str(folder), "start": start, "stop": stop, "seed": seed, "size": size}
            for start, stop in pairwise(bounds)
        ]
        _run_workers(tasks, advance)


def _draw_rows(
    folder: Path, *, start: int, stop: int, seed: int, size: int, done: Callable[[int], None]
) -> None:
    first = start // BLOCK
    for number, block in enumerate(catalogue_blocks(stop, seed, first=first), first):
        for row in range(max(start, number * BLOCK), min(stop, (number + 1) * BLOCK)):
            rng = np.random.default_rng([seed, 6, row])
            image = draw_image(block, row - number * BLOCK, rng, size)
            image.save(folder / image_path(row), quality=_QUALITY)
            done(1)


def _run_workers(tasks: list[dict[str, str | int]], advance: Advance) -> None:
    # -P: a file of the working folder is never imported in place of ours
    code = "from rankfield.synthetic.images import work; work()"
    command = [sys.executable, "-P", "-c", code]
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(tasks)))
        running = []
        for task in tasks:
            worker = subprocess.Popen(
                [*command, json.dumps(task)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(worker)  # closes its pipes and waits for it
            stack.callback(worker.kill)
            running.append(worker)
        for failure in pool.map(lambda worker: _follow(worker, advance), running):
            if failure:
                raise OutputError(
                    f"a process that draws images failed ({failure})",
                    where=str(Path(str(tasks[0]["folder"])).parent),
                    remedy="Is there enough room on the disk? One worker shows the whole error.",
                )


def _follow(worker: subprocess.Popen[str], advance: Advance) -> str:
    """Report a worker's progress until it ends; return what went wrong, or nothing."""
    assert worker.stdout is not None
    assert worker.stderr is not None
    for line in worker.stdout:
        advance(int(line))
    message = worker.stderr.read().strip()
    if worker.wait() == 0:
        return ""
    return message.splitlines()[-1] if message else f"exit status {worker.returncode}"


def work() -> None:
    """Draw what the command line's one argument says: what a worker process runs."""
    task = json.loads(sys.argv[1])
    folder = Path(task.pop("folder"))
    _draw_rows(folder, **task, done=echo)
