"""Every exception that rankfield raises on purpose.

RankfieldError
├── InputError                what the user gave cannot be used; the command line exits with 2
│   ├── DataError             a table, row or field of a data set
│   │   └── ImageError        one image: missing, truncated, not an image, too large
│   ├── SplitError            a split that cannot be made or is too small
│   ├── RecipeError           a training recipe: unknown key, value out of range, absent field
│   ├── ModelError            a model folder or checkpoint that does not fit
│   └── MetricError           an unknown metric, or results that cannot be compared
├── RemoteError               a server that refuses, fails, or answers what cannot be used
├── OutputError               the place to write to: it already exists, is not writable, is full
└── MissingExtraError         an optional package is not installed

A message says where, what was expected, what was found and what to do.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "ImageError",
    "InputError",
    "MetricError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "RankfieldError",
    "RecipeError",
    "RemoteError",
    "SplitError",
]


class RankfieldError(Exception):
    """The root of the tree.

    ``RankfieldError(problem, where=…, remedy=…)`` reads «where: problem. remedy»; `where` names
    the file, table, row and field as far as they are known, `problem` says what was expected and
    what was found, `remedy` what to do.
    """

    exit_code = 2

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        self.problem = problem
        self.where = where
        self.remedy = remedy
        message = f"{where}: {problem}" if where else problem
        super().__init__(f"{message.rstrip('.')}. {remedy}" if remedy else message)

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.problem, self.where, self.remedy)


def _restored(kind: type[RankfieldError], problem: str, where: str, remedy: str) -> RankfieldError:
    """Make an error again in another process: its arguments are not those of `Exception`."""
    return kind(problem, where=where, remedy=remedy)


class InputError(RankfieldError):
    """What the user gave cannot be used."""


class DataError(InputError):
    """A data set, or one table, row or field of it, cannot be used."""


class ImageError(DataError):
    """An image is missing, unreadable, truncated, not an image, or too large to decode safely."""


class SplitError(InputError):
    """A split that cannot be made, does not exist, or would be too small to mean anything."""


class RecipeError(InputError):
    """A recipe with an unknown key, a value out of range, or a field that the data lacks."""


class ModelError(InputError):
    """A model folder or checkpoint that is not one, or belongs to something else."""


class MetricError(InputError):
    """An unknown metric, or results that cannot be compared."""


class RemoteError(RankfieldError):
    """A server refuses, fails again and again, or answers what cannot be used."""


class OutputError(RankfieldError):
    """The output already exists, cannot be written, or the disk is full."""


class MissingExtraError(RankfieldError):
    """An optional package is needed: says which extra to install."""
