"""Where the next page begins."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime

from rankfield.errors import InputError
from rankfield.parsing import parse_json
from rankfield.query.query import Query

__all__ = ["Cursor"]

_DIGITS = 8
_WHERE = "query, cursor"
_AGAIN = "Begin again at the first page, without a cursor."


@dataclass(frozen=True)
class Cursor:
    """A place in the results of one query over one state of an index.

    query: `Query.fingerprint`.
    version: `Index.version`.
    place: how many results came before.
    now: the time that ages are counted from.

    The order of results depends on nothing else, so that pages neither repeat nor drop one.
    """

    query: str
    version: str
    place: int
    now: datetime

    def text(self) -> str:
        """Return it as an opaque text of letters, digits, "-" and "_"."""
        values = f'["{self.query}","{self.version}",{self.place},"{self.now.isoformat()}"]'
        return base64.urlsafe_b64encode((_seal(values) + values).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, query: Query, version: str) -> Cursor:
        """Return the cursor that `text` spells, of this query and this state of the index.

        Raises:
            InputError: no cursor, a changed one, or one of another query or state.
        """
        try:
            padded = text + "=" * (-len(text) % 4)
            found = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
            if found[:_DIGITS] != _seal(found[_DIGITS:]):
                raise ValueError
            of_query, of_version, place, now = parse_json(found[_DIGITS:])
            cursor = cls(of_query, of_version, int(place), datetime.fromisoformat(now))
        except (ValueError, TypeError):
            raise InputError(
                "this is no cursor that a page gave", where=_WHERE, remedy=_AGAIN
            ) from None
        if cursor.query != query.fingerprint():
            raise InputError("the cursor is of another query", where=_WHERE, remedy=_AGAIN)
        if cursor.version != version:
            raise InputError(
                "the index was written to since that page", where=_WHERE, remedy=_AGAIN
            )
        if not 0 < cursor.place < query.depth or cursor.now.tzinfo is None:
            raise InputError("the cursor leads nowhere", where=_WHERE, remedy=_AGAIN)
        return cursor


def _seal(values: str) -> str:
    return hashlib.sha256(values.encode()).hexdigest()[:_DIGITS]
