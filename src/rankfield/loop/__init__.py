"""The loop on the sample shop: clicks → judgments → training → proof → swap → confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.loop.options import LoopOptions
    from rankfield.loop.page import write_page
    from rankfield.loop.run import Loop, run_loop

_HOMES = {"Loop": "run", "LoopOptions": "options", "run_loop": "run", "write_page": "page"}

__all__ = ["Loop", "LoopOptions", "run_loop", "write_page"]

__getattr__ = lazy_names(__name__, _HOMES)
