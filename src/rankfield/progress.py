"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rankfield.terminal import console, echo, one_line

__all__ = ["Advance", "progress"]

_LINE_EVERY_SECONDS = 15.0


class Advance(Protocol):
    """Called with the number of items just done and, optionally, a short remark."""

    def __call__(self, count: int = 1, remark: str = "") -> None:
        """Report `count` more items done."""


@contextmanager
def progress(what: str, total: int, *, done: int = 0, unit: str = "") -> Iterator[Advance]:
    """Show rate and time left of `total` items on stderr while the block runs.

    `done` items count as finished before (a resumed run); the rate leaves them out.
    """
    if sys.stderr.isatty():
        with _bar(what, total, done) as advance:
            yield advance
    else:
        yield _Lines(what, total, done, unit)


@contextmanager
def _bar(what: str, total: int, done: int) -> Iterator[Advance]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        # On a narrow terminal the bar gives way, not the figures.
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[remark]}", style="dim", markup=False),
    )
    started = time.monotonic()
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(one_line(what), total=total, completed=done, remark="", rate="")
        count_done = 0

        def advance(count: int = 1, remark: str = "") -> None:
            nonlocal count_done
            count_done += count
            rate = count_done / max(time.monotonic() - started, 1e-9)
            bar.update(task, advance=count, rate=f"{rate:,.1f}/s")
            if remark:
                bar.update(task, remark=one_line(remark))

        yield advance


class _Lines:
    """One line every quarter of a minute, and none for work that ends sooner."""

    def __init__(self, what: str, total: int, done: int, unit: str) -> None:
        self.what, self.total, self.done, self.unit = one_line(what), total, done, unit
        self.before = done
        self.started = self.last = time.monotonic()
        self.remark = ""

    def __call__(self, count: int = 1, remark: str = "") -> None:
        self.done += count
        self.remark = one_line(remark) or self.remark
        now = time.monotonic()
        if now - self.last < _LINE_EVERY_SECONDS:
            return
        self.last = now
        rate = (self.done - self.before) / (now - self.started)
        left = (self.total - self.done) / rate if rate else float("inf")
        counts = f"{self.done}/{self.total} {self.unit} · {rate:,.1f}/s · {left:,.0f} s left"
        line = f"{self.what}: {counts}"
        echo(f"{line} · {self.remark}" if self.remark else line, err=True)
