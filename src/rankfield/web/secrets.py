"""Keys, taken out of whatever is written or shown."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["NO_SECRETS", "Secrets"]

_HIDDEN = "***"
_SHORTEST = 4
"""Characters of a secret: a shorter one is a placeholder, and part of too many texts."""
_SHORTEST_CODED = 8
"""Characters of base64: fewer turn up by chance."""
_SPELT = 256
"""Characters whose escapes a pattern spells out; what follows in the same word goes too."""
_ROUNDS = 4
"""Escapes inside escapes that are looked into, as JSON in JSON."""
_LONGEST = 50_000
"""Characters of a text in which escaped secrets are hidden one by one; a longer one goes whole."""
_ESCAPE = re.compile(
    r"\\+(?:(?:u00|x)([0-9a-fA-F]{2})|(.))"
    r"|%(?:u00)?([0-9a-fA-F]{2})"
    r"|&(?:#[xX]0{0,5}([0-9a-fA-F]{2})|#0{0,5}([0-9]{2,3})|(amp|lt|gt|quot|apos|sol|equals|plus));",
    re.DOTALL,
)
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "sol": "/"} | {
    "equals": "=",
    "plus": "+",
}


class Secrets:
    """Keys that are hidden, in every form in which a server may send them back.

    As they are, and what is within them if they are base64 (a user's name and password); in base64
    at any place of a longer text, in hexadecimal; each of these with any characters escaped as in
    JSON, addresses or HTML, up to four times over. Secrets of fewer than four characters are not
    looked for.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = tuple(k for key in keys for k in _with_contents(key) if len(k) >= _SHORTEST)
        coded = {c for key in self._keys for c in _in_base64(key)}
        hexadecimal = {key.encode().hex() for key in self._keys}
        hexadecimal |= {text.upper() for text in hexadecimal}
        plus = {key.replace(" ", "+") for key in self._keys}
        plain = {*self._keys, *plus, *hexadecimal}
        self._coded = coded - plain
        # the longest first: one key may begin with another
        self._forms = sorted(plain | coded, key=lambda form: (-len(form), form))

    def __bool__(self) -> bool:
        return bool(self._keys)

    def hidden(self, text: str) -> str:
        """Return `text` with *** in place of each secret; a text that cannot be cut goes whole."""
        escaped = bool(self._keys) and self._stands_in(text, self._forms)
        if escaped and len(text) > _LONGEST:
            return _HIDDEN
        # the longest first: a password that is hidden would leave the user's name before it
        for form in self._forms:
            if form in text:
                text = re.sub(self._with_ends(form), _HIDDEN, text, flags=re.ASCII)
            if escaped and self._stands_in(text, [form]):
                text = re.sub(_spelt(form), _HIDDEN, text)
                if self._stands_in(text, [form]):
                    return _HIDDEN
        return text

    def _with_ends(self, form: str) -> str:
        """Return a pattern of a form; of base64, with the signs that hold parts of its ends."""
        if form not in self._coded:
            return re.escape(form)
        return rf"[\w+/-]{{0,2}}{re.escape(form)}[\w+/-]{{0,2}}={{0,2}}"

    @staticmethod
    def _stands_in(text: str, forms: Iterable[str]) -> bool:
        """Return whether a secret stands in the text once its escapes are resolved."""
        for _ in range(_ROUNDS):
            text, count = _ESCAPE.subn(_meant, text)
            if not count:
                return False
            # `_meant` drops backslashes, those of a key too
            bare = text.replace("\\", "")
            if any(form.replace("\\", "") in bare for form in forms):
                return True
        return False

    def hidden_in(self, value: Any) -> Any:
        """Return a JSON value with `hidden` texts, names of tables too.

        Raises:
            RecursionError: it is nested too deeply.
        """
        if not self._keys:
            return value
        if isinstance(value, str):
            return self.hidden(value)
        if isinstance(value, list):
            return [self.hidden_in(inner) for inner in value]
        if isinstance(value, dict):
            return {self.hidden(name): self.hidden_in(inner) for name, inner in value.items()}
        return value


NO_SECRETS = Secrets()


def _with_contents(key: str) -> list[str]:
    """Return a key and, if it is base64 of a text, that text; of a user:password both parts."""
    found = [key]
    try:
        text = base64.b64decode(key, validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    for whole in (key, text if text.isprintable() else ""):
        user, colon, password = whole.partition(":")
        found += [whole, password] if colon and user else []
    return found


def _in_base64(key: str) -> list[str]:
    """Return what a text's base64 has for `key`, wherever the key stands in the text."""
    found = []
    for before in range(3):
        code = base64.b64encode(b"\0" * before + key.encode()).decode().rstrip("=")
        whole = (before + len(key.encode())) * 8 // 6  # signs that depend on no later text
        core = code[-(-before * 8 // 6) : whole]
        if len(core) >= _SHORTEST_CODED:
            found += [core, core.replace("+", "-").replace("/", "_")]
    return found


def _meant(escape: re.Match[str]) -> str:
    """Return the sign that an escape of JSON, an address or HTML stands for."""
    in_json, sign, in_address, in_html, decimal, name = escape.groups()
    if code := in_json or in_address or in_html:
        return chr(int(code, 16))
    return chr(int(decimal)) if decimal else sign or _NAMED[name]


def _spelt(form: str) -> str:
    """Return a pattern of a text in which any character may be escaped; it needs bounded steps."""
    rest = len(form) - _SPELT
    one = r"(?:&(?:amp;){0,3}#?\w{1,8};|[^\s\"'<>,;)\]}])"
    after = f"{one}{{0,{12 * rest}}}" if rest > 0 else ""
    return "".join(map(_character, form[:_SPELT])) + after


def _character(sign: str) -> str:
    number = ord(sign)
    code = "".join(f"[{d}{d.upper()}]" for d in f"{number:02x}")
    named = "".join(f"|{name}" for name, meant in _NAMED.items() if meant == sign)
    return (
        rf"(?:{re.escape(sign)}|\\{{1,16}}(?:{re.escape(sign)}|(?:u00|x){code})"
        rf"|%(?:25){{0,3}}(?:u00)?{code}"
        rf"|&(?:amp;){{0,3}}(?:#0{{0,5}}{number}|#[xX]0{{0,5}}{code}{named});)"
    )
