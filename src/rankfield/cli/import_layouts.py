"""`rankfield import [LAYOUT] SRC OUT`: a verb for each layout, with the options it declares."""

from __future__ import annotations

import difflib
import inspect
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup
from typer.main import get_command

from rankfield.cli import import_output as output
from rankfield.formats.layout import LICENCE, NAME, Layout, Option
from rankfield.formats.registry import LAYOUTS
from rankfield.outputs import require_new
from rankfield.terminal import echo

__all__ = ["GUESS", "ImportGroup"]

GUESS = "guess"
"""The name of the command that a source without a layout goes to."""

_OUT = Annotated[Path, typer.Argument(help="Data set folder to make.", show_default=False)]
_GUESSED = "File or folder in one of the layouts."


class ImportGroup(TyperGroup):
    """The verbs of `rankfield import`, made when they are asked for.

    Anything else in the place of a layout is a source whose layout is guessed.
    """

    @property
    def commands(self) -> Any:
        """Name → command: one of each layout, and the guess, which is hidden."""
        return {name: self.get_command(None, name) for name in (GUESS, *LAYOUTS)}

    @commands.setter
    def commands(self, value: Any) -> None:
        """Ignore the commands of the group's declaration: there are none."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return the command of one layout: the others are not loaded for it."""
        if cmd_name == GUESS:
            return _command(GUESS, _guess, hidden=True)
        return _verb(LAYOUTS[cmd_name]) if cmd_name in list(LAYOUTS) else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command of the layout named, or the guess."""
        first = args[0]
        if first in (GUESS, *LAYOUTS) or first.startswith("-"):
            return super().resolve_command(ctx, args)
        misspelt = difflib.get_close_matches(first, list(LAYOUTS), n=1, cutoff=0.75)
        if misspelt and not Path(first).exists():
            ctx.fail(f"there is no layout {first!r}. Did you mean {misspelt[0]!r}?")
        return GUESS, _without_name(self.get_command(ctx, GUESS)), args

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show each layout with its example below the verbs."""
        lines = [
            "SRC OUT without a layout: the layout is guessed and the guess is shown.",
            "Layouts:",
        ]
        for layout in LAYOUTS.values():
            lines += [f"{layout.name}: {layout.description}", f"  {layout.example}"]
        self.epilog = "\n\n".join(lines)
        super().format_help(ctx, formatter)


def _without_name(command: Any) -> Any:
    """Return the command, whose usage and errors show the group's name alone: none was typed."""
    path = property(lambda context: context.parent.command_path)
    command.context_class = type("UnnamedContext", (command.context_class,), {"command_path": path})
    return command


def _verb(layout: Layout) -> Any:
    def command(src: Path, out: Path, **values: Any) -> None:
        _import(layout, src, out, values)

    command.__doc__ = layout.help
    return _command(layout.name, _with_options(command, layout.source, layout.options))


def _guess(src: Path, out: Path, **values: Any) -> None:
    """Guess the layout of SRC, say why and how to name it, and make a data set.

    Stops if SRC looks like none of the layouts or like several, and says what it looked for.

    Example: rankfield import ./scifact scifact-data
    """
    from rankfield.formats.guess import guess_layout

    require_new(out)
    layout, reason = guess_layout(src)
    given = {name: value for name, value in values.items() if value}
    words = ["rankfield", "import", layout.name, str(src), str(out)]
    words += [word for name, value in given.items() for word in (f"--{name}", value)]
    echo(f"{src} looks like {layout.name}: {reason}")
    echo(f"the same as: {shlex.join(words)}")
    _import(layout, src, out, {_key(o): o.default for o in layout.options} | given)


def _import(layout: Layout, src: Path, out: Path, values: Mapping[str, Any]) -> None:
    """Import a source; `values` are those of the layout's options, None if not given."""
    require_new(out)
    if layout.judgments is not None and output.only_judgments(values):
        output.save_judgments(layout.judgments, src, out, values)
        return
    arguments: dict[str, Any] = {}
    for option in layout.options:
        value = values[_key(option)]
        if value is not None and value != [] and _key(option) not in output.OF_JUDGMENTS:
            argument = option.argument or _key(option)
            arguments[argument] = option.parse(value) if option.parse else value
    if layout.convert is not None:
        folder, notes = layout.convert(src, out, **arguments)
        output.report(folder, notes, out)
    else:
        dataset, notes = layout.read(src, **arguments)
        output.report(dataset.save(out), notes, out)


def _key(option: Option) -> str:
    return option.name.replace("-", "_")


def _command(name: str, function: Callable[..., None], *, hidden: bool = False) -> Any:
    app = typer.Typer(add_completion=False)
    app.command(name, hidden=hidden)(function)
    return get_command(app)


def _with_options(
    function: Callable[..., None], source: str, options: tuple[Option, ...]
) -> Callable[..., None]:
    """Give a function the signature by which Typer reads SRC, OUT and the options."""
    src = Annotated[Path, typer.Argument(help=source, show_default=False)]
    places = [
        inspect.Parameter("src", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=src),
        inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=_OUT),
    ]
    named = [
        inspect.Parameter(
            _key(option),
            inspect.Parameter.KEYWORD_ONLY,
            default=option.default,
            annotation=_annotation(option),
        )
        for option in options
    ]
    parameters = [*places, *named]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    return function


def _annotation(option: Option) -> Any:
    kind = list[option.kind] if option.repeated else option.kind  # type: ignore[name-defined]
    shown = typer.Option(
        # without a name Typer adds --no-… to a switch
        *([f"--{option.name}"] if option.kind is bool else []),
        help=option.help,
        metavar=option.metavar,
        min=option.minimum,
        max=option.maximum,
    )
    return Annotated[kind if option.default is not None else Optional[kind], shown]  # noqa: UP045


_with_options(_guess, _GUESSED, (NAME, LICENCE))
