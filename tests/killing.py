"""Commands that can be killed: each in a process of its own, forked from one that has imported all.

The imports take most of a second a process; a test that kills twenty would spend its time on them.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["Run", "kill_at_random", "killable_commands"]

_ZYGOTE = """
import importlib, json, os, signal, sys
from rankfield.cli.main import main
for module in sys.argv[1:]:
    importlib.import_module(module)
for line in sys.stdin:
    words = json.loads(line)
    child = os.fork()
    if child == 0:
        sink = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(sink, stream)
        # a shell starts what runs in the background with interrupts switched off
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["rankfield", *words]
        code = 1
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = stopped.code or 0
        finally:
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Run:
    """A command on its way; one at a time."""

    def __init__(self, replies: IO[str]) -> None:
        self._replies = replies
        self.pid = int(replies.readline())
        self._code: int | None = None

    def is_running(self) -> bool:
        if self._code is None and select.select([self._replies], [], [], 0)[0]:
            self.wait()
        return self._code is None

    def wait(self) -> int:
        """Return the exit code, −9 after a kill."""
        if self._code is None:
            self._code = int(self._replies.readline())
        return self._code

    def kill(self) -> int:
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()


@contextmanager
def killable_commands(*modules: str) -> Iterator[Callable[..., Run]]:
    """Yield a function that starts `rankfield` with these words; `modules` are imported before."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ZYGOTE, *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    commands, replies = process.stdin, process.stdout

    def start(*words: str | Path) -> Run:
        commands.write(json.dumps([str(word) for word in words]) + "\n")
        commands.flush()
        return Run(replies)

    try:
        yield start
    finally:
        commands.close()
        process.wait(20)
        replies.close()


def kill_at_random(begin: Callable[[], Run], seconds: float, kills: int) -> Iterator[int]:
    """Start a run, kill it within `seconds`, and yield, until `kills` were not done by then.

    `seconds` is what a whole run took; a run that was done before its signal shortens it, since a
    first run is often slower than the next ones.
    """
    moments, killed = random.Random(0), 0
    for attempt in range(5 * kills):
        run = begin()
        moment = moments.uniform(0, seconds)
        time.sleep(moment)
        if run.kill() == -signal.SIGKILL:
            killed += 1
        else:
            seconds = moment
        yield attempt
        if killed == kills:
            return
    raise AssertionError(f"{killed} of {5 * kills} runs were killed, {kills} were expected")
