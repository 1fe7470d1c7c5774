"""What the user types to call this program again."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["program"]


def program() -> str:
    """Return "rankfield" where the shell finds the running program by that name, else its path.

    `make demo` calls the program by its path in a virtual environment that is not active: a next
    step that begins with "rankfield" would not be found there.
    """
    called = Path(sys.argv[0])
    found = shutil.which("rankfield")
    if called.name != "rankfield" or not called.exists():
        return "rankfield"
    if found is not None and Path(found).resolve() == called.resolve():
        return "rankfield"
    return shlex.quote(str(called))
