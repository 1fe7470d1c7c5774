"""The option of commands that spread their work."""

from __future__ import annotations

from typing import Annotated

import typer

from rankfield.engines import EngineName

__all__ = ["EngineOption"]

EngineOption = Annotated[
    EngineName, typer.Option(help="Work on this machine's cores, or on Ray's: same result.")
]
