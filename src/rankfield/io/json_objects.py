"""One large JSON object, {"key": value, …}, an entry at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from rankfield.errors import DataError
from rankfield.io.text import not_utf8
from rankfield.progress import Advance, progress
from rankfield.unicode_text import SPELT_HALF, half_surrogate, refuse_halves

__all__ = ["object_entries"]

_BLOCK = 4 << 20
_LONGEST = 64 << 20
_BLANKS = re.compile(r"[ \t\n\r]*")
_KEY = re.compile(r'[ \t\n\r]*"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_COMMA = re.compile(r"[ \t\n\r]*,")
_DECODER = json.JSONDecoder()


def object_entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield key and value of each entry of the object that a file holds, in its order.

    Memory is that of one entry and a block of a few megabytes, however large the file. UTF-8 with
    or without a byte order mark.

    Raises:
        DataError: no such file, not UTF-8, not an object, cut off or malformed; says at which row.
    """
    if not path.is_file():
        raise DataError(
            "there is no such file",
            where=str(path),
            remedy="Fetch it, or name the right folder and layout.",
        )
    with (
        path.open("r", encoding="utf-8-sig", newline="") as file,
        progress(f"reading {path.name}", path.stat().st_size >> 20, unit="MB") as advance,
    ):
        text = _Text(path, file, advance)
        text.expect("{")
        while text.peek() != "}":
            yield from text.plain_entries()  # no escapes in their keys
            key = text.value(key=True)
            if not isinstance(key, str):
                text.fail(f"expected a key in quotes, found {key!r}")
            text.expect(":")
            yield key, text.value()
            if text.peek() == ",":
                text.expect(",")
                if text.peek() == "}":
                    text.fail("expected an entry after the comma, found '}'")
            elif text.peek() != "}":
                text.fail(f"expected a comma or the end of the object, found {text.peek()!r}")
        text.expect("}")
        if text.peek():
            text.fail(f"expected nothing after the object, found {text.peek()!r}")


class _Text:
    """A file as text of which a block is in memory, and where in it we are."""

    def __init__(self, path: Path, file: TextIO, advance: Advance) -> None:
        self.path, self.file, self.advance = path, file, advance
        self.read = 0
        self.text, self.at, self.line = "", 0, 1
        self.ended = False

    def peek(self) -> str:
        """Return the next sign that is not blank, "" at the end of the file."""
        while True:
            match = _BLANKS.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self.more()

    def expect(self, sign: str) -> None:
        found = self.peek()
        if found != sign:
            what = repr(found) if found else "the end of the file"
            self.fail(f"expected {sign!r}, found {what}")
        self.at += 1

    def value(self, *, key: bool = False) -> Any:
        """Return the JSON value, or the key, that comes next."""
        while True:
            self.peek()
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                # an entry that goes on in the next block looks malformed, but none is this long
                if self.ended or len(self.text) - self.at > _LONGEST:
                    self.fail(error.msg, error.pos)
            except (RecursionError, ValueError) as error:  # the last: thousands of digits
                self.fail(str(error))
            else:
                # a number at the end of the block may go on in the next one
                if end < len(self.text) or self.ended:
                    if key and half_surrogate(value) is not None:
                        self.fail(f"half of a surrogate pair in the key {value!r}")
                    self._refuse_halves(value, end)
                    self.at = end
                    return value
            self.more()

    def plain_entries(self) -> Iterator[tuple[str, Any]]:
        """Yield the entries from here on that are whole, the comma too, and have a simple key."""
        while key := _KEY.match(self.text, self.at):
            try:
                value, end = _DECODER.raw_decode(self.text, key.end())
            except (ValueError, RecursionError):
                return
            comma = _COMMA.match(self.text, end)
            if comma is None:
                return
            self._refuse_halves(value, end)
            self.at = comma.end()
            yield key[1], value

    def _refuse_halves(self, value: Any, end: int) -> None:
        if SPELT_HALF.search(self.text, self.at, end):
            line = self.line + self.text.count("\n", 0, self.at)
            where = f"{self.path}, row {line}"
            refuse_halves(self.text[self.at : end], value, where=where, kind=DataError)

    def more(self) -> None:
        try:
            block = self.file.read(max(_BLOCK, len(self.text) - self.at))
        except UnicodeDecodeError:
            raise not_utf8(self.path) from None
        now = self.file.buffer.tell() >> 20
        self.advance(now - self.read)
        self.read = now
        self.ended = not block
        self.line += self.text.count("\n", 0, self.at)
        self.text, self.at = self.text[self.at :] + block, 0

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        cut = self.ended and not self.text[self.at :].rstrip().endswith("}")
        line = self.line + self.text.count("\n", 0, self.at if at is None else at)
        raise DataError(
            f"not valid JSON ({problem})",
            where=f"{self.path}, row {line}",
            remedy="The file seems to be cut off: fetch it again." if cut else "Fix the entry.",
        )
