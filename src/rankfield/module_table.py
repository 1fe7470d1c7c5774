"""A table of what modules declare, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TypeVar

__all__ = ["ModuleTable"]

_T = TypeVar("_T")


class ModuleTable(Mapping[str, _T]):
    """Name → the `LAYOUT` of a module; the names alone load no module and need no library.

    Args:
        package: which the modules are in.
        modules: name → module, without the package's name.
    """

    def __init__(self, package: str, modules: Mapping[str, str]) -> None:
        self._package = package
        self._modules = modules

    def __getitem__(self, name: str) -> _T:
        found: _T = import_module(f"{self._package}.{self._modules[name]}").LAYOUT
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)
