"""API keys with a scope: who may read, and who may write too."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from rankfield.errors import InputError
from rankfield.settings import Settings, read_settings

__all__ = ["READ_VARIABLE", "WRITE_VARIABLE", "Keys", "Scope"]

Scope = Literal["read", "write"]

READ_VARIABLE = "RANKFIELD_READ_KEYS"
WRITE_VARIABLE = "RANKFIELD_WRITE_KEYS"

_KEY = re.compile(r"[!-~]{16,256}")


class _KeyFile(Settings):
    """A TOML file of keys."""

    read: tuple[str, ...] = Field((), strict=False)
    write: tuple[str, ...] = Field((), strict=False)


@dataclass(frozen=True)
class Keys:
    """The SHA-256 of each key, with its scope; without any key everything is allowed."""

    digests: tuple[tuple[bytes, Scope], ...] = ()

    def __bool__(self) -> bool:
        """Return whether there are keys."""
        return bool(self.digests)

    @classmethod
    def of(cls, keys: Mapping[Scope, Sequence[str]], where: str) -> Keys:
        """Return keys by scope.

        Raises:
            InputError: a key that is no 16 to 256 visible ASCII characters; it is not shown.
        """
        found = []
        for scope, several in keys.items():
            for place, key in enumerate(several, 1):
                if _KEY.fullmatch(key) is None:
                    raise InputError(
                        f"expected 16 to 256 visible ASCII characters in {scope} key {place}, "
                        f"found {len(key)} characters",
                        where=where,
                        remedy="Make one: python -c 'import secrets; "
                        "print(secrets.token_urlsafe(32))'.",
                    )
                found.append((_digest(key), scope))
        return cls(tuple(found))

    @classmethod
    def read(cls, path: Path | None, environment: Mapping[str, str] = os.environ) -> Keys:
        """Return the keys of a file and of the environment.

        Args:
            path: TOML, `read = ["…"]` and `write = ["…"]`.
            environment: the variables hold keys with commas between.

        Raises:
            InputError: a file that cannot be read, or a key that is too short.
        """
        found: tuple[tuple[bytes, Scope], ...] = ()
        if path is not None:
            values = read_settings(path, _KeyFile)
            found = cls.of({"read": values.read, "write": values.write}, str(path)).digests
            if not found:
                raise InputError("there is no key", where=str(path))
        scopes: tuple[tuple[str, Scope], ...] = (
            (READ_VARIABLE, "read"),
            (WRITE_VARIABLE, "write"),
        )
        for variable, scope in scopes:
            text = environment.get(variable, "")
            if text.strip():
                keys = [key.strip() for key in text.split(",")]
                found = (*found, *cls.of({scope: keys}, variable).digests)
        return cls(found)

    def scopes(self, key: str) -> set[Scope]:
        """Return what a key allows; takes as long whichever key it is like."""
        given, found = _digest(key), set[Scope]()
        for digest, scope in self.digests:
            if hmac.compare_digest(digest, given):
                found |= {"read", scope}
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
