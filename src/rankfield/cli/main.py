"""The `rankfield` command: gathers the verbs and turns errors into messages and exit codes."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rankfield.cli.former_options import present_options
from rankfield.cli.import_layouts import ImportGroup
from rankfield.errors import RankfieldError
from rankfield.terminal import echo, one_line

__all__ = ["app", "main"]

VERBS: dict[str, str] = {
    "demo": "demo",
    "sample": "sample",
    "check": "check",
    "export": "export",
    "dedupe": "dedupe",
    "split": "split",
    "weights": "weights",
    "labels": "labels",
    "collect": "collect",
    "judge": "judge",
    "mine": "mine",
    "recipe": "recipe",
    "train": "train",
    "folds": "folds",
    "evaluate": "evaluate",
    "compare": "compare",
    "report": "report",
    "metrics": "metrics",
    "embed": "embed",
    "index": "index",
    "rollback": "rollback",
    "search": "search",
    "serve": "serve",
    "grades": "grades",
    "interleaving": "interleaving",
    "loop": "loop",
    "publish": "publish",
    "push": "push",
}
"""Verb → module under `rankfield.cli` that holds its function `command`, in the order of help."""


_INTERRUPTED = 130


_USAGE: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""What Typer's usage errors are, of click or of its own copy."""


class _InertGroup(TyperGroup):
    """Commands whose usage errors show file names and values made printable, on one line."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the options of the program itself."""
        with _inert_usage():
            return super().make_context(*args, **options)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command of a verb and its arguments, with the present names of options."""
        verb, found, words = super().resolve_command(ctx, args)
        return verb, found, present_options(verb or "", words)

    def invoke(self, ctx: Any) -> Any:
        """Read a command's arguments, and run it."""
        with _inert_usage():
            return super().invoke(ctx)


@contextmanager
def _inert_usage() -> Iterator[None]:
    try:
        yield
    except _USAGE as error:
        error.message = one_line(error.message)
        raise


def _build() -> typer.Typer:
    app = typer.Typer(
        name="rankfield",
        cls=_InertGroup,
        help="Train embedding models that rank.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_version)
    importer = typer.Typer(
        cls=ImportGroup,
        help="Make a ranking data set from other layouts.",
        no_args_is_help=True,
    )
    app.add_typer(importer, name="import")
    for verb, module in VERBS.items():
        found = importlib.import_module(f"rankfield.cli.{module}")
        app.command(verb, cls=getattr(found, "Command", None))(found.command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from rankfield import __version__

        echo(__version__)
        raise typer.Exit


def _version(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and stop.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    """Train embedding models that rank."""


app = _build()


def _leave_to_main_thread(failure: threading.ExceptHookArgs) -> None:
    """Say nothing of a full disk in TensorBoard's writer: its next call raises the same error."""
    if not isinstance(failure.exc_value, OSError):
        threading.__excepthook__(failure)


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> str:
    """Return what a library warns of, which may contain names of the data, as one line."""
    return f"{category.__name__}: {one_line(str(message))}\n"


def main() -> None:
    """Run the command line: exit 0 when done, 2 on bad input, 130 when interrupted.

    Errors of the system that no module explained (a folder that may not be entered, a file that
    vanished) are messages too.
    """
    threading.excepthook = _leave_to_main_thread
    warnings.formatwarning = _warning
    try:
        app()
    except RankfieldError as error:
        echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(2)
    except SystemExit as stopped:
        # Typer makes this of an interrupt, and says nothing
        if stopped.code == _INTERRUPTED:
            echo("interrupted", err=True)
        raise
    except KeyboardInterrupt:  # before or after Typer's own work
        echo("interrupted", err=True)
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
