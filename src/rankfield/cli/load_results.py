"""Reading the results files that a command was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankfield.errors import InputError

if TYPE_CHECKING:
    from rankfield.evaluation import Results

__all__ = ["load_results", "result_files"]


def result_files(arguments: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return the label ("" for the file's own) and the file of each argument, FILE or LABEL=FILE.

    Raises:
        InputError: a file given twice, which would count as two runs.
    """
    found, seen = [], set[Path]()
    for argument in arguments:
        label, equals, name = str(argument).partition("=")
        # A name may hold "=" itself.
        named = bool(equals and label and name) and not argument.exists()
        path = Path(name) if named else argument
        if path.resolve() in seen:
            raise InputError(
                "the same results are given twice", where=str(path), remedy="Name each file once."
            )
        seen.add(path.resolve())
        found.append((label if named else "", path))
    return found


def load_results(arguments: Sequence[Path]) -> list[Results]:
    """Return the results of the files, in order, with the labels of `result_files`.

    Raises:
        InputError: a file given twice, one that cannot be read, or one model twice under one
            label, which would look like two runs that agree.
    """
    from rankfield.evaluation import Results

    found, models = [], dict[tuple[Any, ...], Path]()
    for label, path in result_files(arguments):
        one = Results.load(path)
        one = replace(one, label=label) if label else one
        found.append(one)
        fingerprint = one.metadata.get("fingerprint")
        if one.label and fingerprint:
            key = (one.label, fingerprint, one.metadata.get("dimension"))
            if key in models:
                raise InputError(
                    f"the same model as in {models[key]}: one run of {one.label!r}, not two",
                    where=str(path),
                    remedy="Give runs of other seeds, or one of these files.",
                )
            models[key] = path
    return found
