"""What is shown on a terminal: texts of others cannot steer it, and their markup says nothing."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["cell", "console", "echo", "one_line", "printable", "printable_values"]

# Unicode's controls, bidirectional marks and characters of no width; halves of surrogate pairs,
# which stand for bytes of a file name that is not UTF-8.
_UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e007f"
)
# Joiners belong to scripts and emoji, never beside ASCII, where they only hide.
_JOINERS = "(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
_HIDDEN = re.compile(f"[{_UNSAFE}]|{_JOINERS}")
_HIDDEN_OR_BREAK = re.compile(f"[{_UNSAFE}\t\n]|{_JOINERS}")


def printable(text: str) -> str:
    r"""Return `text` with what cannot be seen or steers a terminal written as escapes.

    These are control characters other than line breaks and tabs, bidirectional marks, characters of
    no width (joiners only beside ASCII), and halves of surrogate pairs. A server's answer, a
    document or a file name could otherwise move the cursor, rename the window, or reverse what
    follows: ESC becomes ``\x1b``.
    """
    return _HIDDEN.sub(_escape, text)


def one_line(text: str) -> str:
    r"""Return a name or a cell as `printable` does, line breaks and tabs as ``\n`` and ``\t``."""
    return _HIDDEN_OR_BREAK.sub(_escape, text)


def printable_values(text: str, form: Literal["json", "toml"]) -> str:
    r"""Return JSON or TOML text with the same characters in its own escapes.

    Outside strings these formats have none of them, so that the value stays the same:
    ESC becomes ``\u001b``.
    """
    return _HIDDEN.sub(_json_escape if form == "json" else _toml_escape, text)


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text, made `printable`, on standard output or (`err`) standard error."""
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # closed, as of a service
        return
    shown = printable(str(text)) + ("\n" if nl else "")
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # A terminal of few characters shows escapes for the others rather than end the command.
    stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def console(*, stderr: bool = False) -> Console:
    """Return a rich console for untrusted text: without markup, emoji codes and highlighting.

    All that it renders is made `printable`; rich's own codes for colours stay.
    """
    from collections.abc import Iterable
    from typing import Any

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class _InertConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                if segment.control:
                    yield segment
                else:
                    yield Segment(printable(segment.text), segment.style)

    settings: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    return _InertConsole(stderr=stderr, **settings)


def cell(text: object, style: str = "") -> Text:
    """Return a text as one line for a rich table: no markup, measured as it will be shown."""
    from rich.text import Text

    return Text(one_line(str(text)), style)


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _toml_escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
