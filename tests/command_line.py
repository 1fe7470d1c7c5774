"""The program in this process, as a test calls it where the exit code alone matters."""

from __future__ import annotations

import sys
from unittest.mock import patch

from rankfield.cli.main import main

__all__ = ["run"]


def run(*words: object) -> int:
    """Run `rankfield WORDS`, and return its exit code."""
    with patch.object(sys, "argv", ["rankfield", *map(str, words)]):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0
