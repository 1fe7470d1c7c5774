"""Options that a dataclass declares, given to a command as one argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

__all__ = ["takes_options"]

Command = Callable[..., None]


def takes_options(kind: type[Any], argument: str) -> Callable[[Command], Command]:
    """Return a decorator: the fields of `kind` become options of a command.

    The command gets them as one keyword argument, an instance of `kind`.

    Args:
        kind: a dataclass whose fields are annotated as Typer reads them.
        argument: the name of the command's argument.
    """

    def decorate(command: Command) -> Command:
        """Return the command with the options of the group."""

        def with_options(**values: Any) -> None:
            group = kind(**{name: values.pop(name) for name in options})
            command(**values, **{argument: group})

        hints = get_type_hints(kind, include_extras=True)
        options = {
            one.name: inspect.Parameter(
                one.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=one.default,
                annotation=hints[one.name],
            )
            for one in fields(kind)
        }
        own = inspect.signature(command).parameters
        annotations = get_type_hints(command, include_extras=True)
        parameters = [
            one.replace(annotation=annotations[name])
            for name, one in own.items()
            if name != argument
        ]
        parameters += options.values()
        with_options.__doc__ = command.__doc__
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {one.name: one.annotation for one in parameters} | (
            {name: annotations[name] for name in own if name not in {p.name for p in parameters}}
        )
        return with_options

    return decorate
