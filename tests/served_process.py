"""A service in a process of its own, as `rankfield serve` starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Served", "served", "started"]


class Served:
    """A running service.

    url: where it listens. process: which may be killed.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log
        assert process.stdout is not None
        found = re.search(r"at (http://\S+)", process.stdout.readline())
        if found is None:
            process.kill()
            process.wait()
            raise AssertionError(log.read_text())
        self.url = found[1]

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(how)
        return self.process.wait(60)


@contextmanager
def started(root: Path, *words: str) -> Iterator[Served]:
    """Serve the shop of a folder on a free port; it is killed at the end if it still runs."""
    log = root / "serve.log"
    command = [sys.executable, "-m", "rankfield", "serve", f"shop={root / 'index'}", "--port", "0"]
    with (
        log.open("w") as errors,
        subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=errors, text=True) as p,
    ):
        try:
            yield Served(p, log)
        finally:
            if p.poll() is None:
                p.kill()
                p.wait()


@contextmanager
def served(root: Path, *words: str) -> Iterator[str]:
    """Serve the shop of a folder and yield the address; it is stopped at the end."""
    with started(root, *words) as process:
        yield process.url
        process.stop()
