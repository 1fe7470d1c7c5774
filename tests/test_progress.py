"""Progress: figures that stay readable on a narrow terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import sys
import time

import pytest

from rankfield.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_narrow_terminal_shows_the_figures_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    with progress("train gcl", 2000, unit="steps") as advance:
        advance(104, "loss 1.981 · best dev nDCG@10 0.6816")
    shown = terminal.getvalue()
    assert "104/2000" in shown
    assert "best dev nDCG@10 0.6816" in shown
    assert "…" not in shown


def test_elsewhere_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress("train gcl", 300, done=100, unit="steps") as advance:
        for _ in range(2):
            now += 10
            advance(50, "loss 1.981")
    assert capsys.readouterr().err == (
        "train gcl: 200/300 steps · 5.0/s · 20 s left · loss 1.981\n"
    )
