"""The option --allow-code, which commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AllowCode"]

AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Import the code that a recipe or option names (module:function, package:NAME): for "
        "what you trust. Without it they are refused.",
    ),
]
