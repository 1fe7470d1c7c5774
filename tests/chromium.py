"""The system's Chromium, driven by Playwright; nothing is downloaded."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["PATIENCE", "browser", "missing"]

_NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000
"""Milliseconds that a busy machine may take for a step."""


def _executable() -> str | None:
    return os.environ.get("RANKFIELD_BROWSER") or next(
        filter(None, map(shutil.which, _NAMES)), None
    )


def missing() -> str:
    """Return what browser tests lack here; "" if nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    if _executable() is None:
        return f"none of {', '.join(_NAMES)} is installed"
    return ""


@contextmanager
def browser() -> Iterator[Any]:
    """Start the browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container has neither the name spaces of the sandbox nor much shared memory.
        started = playwright.chromium.launch(
            executable_path=_executable(),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            timeout=PATIENCE,
        )
        try:
            yield started
        finally:
            started.close()
