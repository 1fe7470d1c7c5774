"""`rankfield import SRC OUT`: the layout is guessed, and the guess is shown."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rankfield.cli import import_options as options
from rankfield.formats.registry import LAYOUTS
from rankfield.messages import did_you_mean
from rankfield.terminal import echo

__all__ = ["GUESS", "GuessingGroup", "command", "examples"]

GUESS = "guess"
"""The name of the command that a source without a layout goes to."""


class GuessingGroup(TyperGroup):
    """Commands named after layouts; anything else in their place is a source of unknown layout."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command of the layout named, or the guess."""
        first = args[0]
        if first in self.commands or first.startswith("-"):
            return super().resolve_command(ctx, args)
        misspelt = did_you_mean(first, LAYOUTS, cutoff=0.75)
        if misspelt and not Path(first).exists():
            ctx.fail(f"there is no layout {first!r}. {misspelt}")
        return GUESS, self.commands[GUESS], args


def examples() -> str:
    """Return each layout with its example, for the help of the group."""
    lines = ["SRC OUT without a layout: the layout is guessed and the guess is shown.", "Layouts:"]
    for layout in LAYOUTS.values():
        lines += [f"{layout.name}: {layout.description}", f"  {layout.example}"]
    return "\n\n".join(lines)


def command(
    src: Annotated[
        Path, typer.Argument(help="File or folder in one of the layouts.", show_default=False)
    ],
    out: options.Out,
    *,
    name: options.Name = None,
    licence: options.Licence = "",
) -> None:
    """Guess the layout of SRC, say why and how to name it, and make a data set.

    Stops if SRC looks like none of the layouts or like several, and says what it looked for.

    Example: rankfield import ./scifact scifact-data
    """
    from rankfield.formats.guess import guess_layout

    options.require_new(out)
    layout, reason = guess_layout(src)
    words = ["rankfield", "import", layout.name, str(src), str(out)]
    words += ["--name", name] if name else []
    words += ["--licence", licence] if licence else []
    echo(f"{src} looks like {layout.name}: {reason}")
    echo(f"the same as: {shlex.join(words)}")
    chosen = {key: value for key, value in (("name", name), ("licence", licence)) if value}
    if layout.name == "tables":  # the one that can be larger than memory
        from rankfield.formats.tables.reading import import_folder

        folder, notes = import_folder(src, out, name=name, licence=licence)
        options.report(folder, notes, out)
    else:
        dataset, notes = layout.read(src, **chosen, **layout.checks)
        options.save(dataset, notes, out)
