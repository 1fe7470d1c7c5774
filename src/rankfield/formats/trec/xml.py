"""TREC's topics in XML, as of its Web, Clinical and COVID tracks: <topic number="1">."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from rankfield.errors import DataError
from rankfield.formats.trec.markup import (
    attributes,
    cdata_parts,
    elements,
    without_comments,
    without_tags,
)
from rankfield.io.columns import text_frame
from rankfield.io.table import Table

__all__ = ["holds_xml_topics", "read_xml_topics"]

# not an XML parser: such files are often no XML, with a bare & or several roots
_TOPIC = re.compile(r"<topic(?=[\s>])|</topic\s*>", re.IGNORECASE)
_IDS = ("number", "num", "id", "qid", "identifier")


def holds_xml_topics(lines: Table) -> bool:
    """Return whether a file begins with a tag and has <topic …> in its first hundred lines."""
    head = lines.frame["text"].head(100)
    return head[0].lstrip().startswith("<") and bool(head.str.contains(r"(?i)<topic[\s>]").any())


def read_xml_topics(lines: Table) -> Table:
    """Read <topic> … </topic>: query_id, and a column for each element in it, as query, narrative.

    The id is the attribute number, num, id or qid, or the element of such a name. Elements of one
    name are joined with line breaks.

    Raises:
        DataError: a <topic> that is not closed, without an id, or without any text.
    """
    texts = lines.frame["text"].to_list()
    starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
    found: list[dict[str, str]] = []
    rows: list[int] = []
    for start, head, body in _topics(without_comments("\n".join(texts))):
        rows.append(bisect_right(starts, start) - 1)
        if body is None:
            raise DataError(
                "<topic> is opened and never closed",
                where=lines.where(rows[-1]),
                remedy="End the record with </topic>; the file may be cut off.",
            )
        found.append(_topic(lines, rows[-1], head, body))
    frame = text_frame(lines.path, found, ["query_id"])
    return lines.taken(frame, rows)


def _topics(whole: str) -> Iterator[tuple[int, str, str | None]]:
    """Yield place, attributes and content of each topic; None for one that is not closed."""
    begun: tuple[int, int] | None = None
    for match in _TOPIC.finditer(whole):
        if begun is not None and match.start() <= begun[1]:
            continue  # within the opening tag
        closes = match[0].startswith("</")
        if begun is not None:
            start, end = begun
            head = whole[start + len("<topic") : end]
            yield start, head, whole[end + 1 : match.start()] if closes else None
            begun = None
        if not closes:
            end = whole.find(">", match.end())
            if end < 0:
                return
            begun = match.start(), end
    if begun is not None:
        yield begun[0], "", None


def _topic(lines: Table, row: int, head: str, body: str) -> dict[str, str]:
    record: dict[str, str] = {}
    for name, value in elements(body):
        text = _words(value)
        key = name.lower()
        record[key] = "\n".join(filter(None, (record.get(key), text)))
    given = {name.lower(): html.unescape(value) for name, value in attributes(head)}
    inside = {name: record.pop(name) for name in _IDS if name in record}
    identity = next(((given | inside)[n] for n in _IDS if (given | inside).get(n)), "")
    if not identity:
        raise DataError(
            "expected <topic> with an id, found none",
            where=lines.where(row),
            remedy='Write it as <topic number="1">.',
        )
    if not any(record.values()):
        raise DataError(
            f"expected a text in the topic {identity!r}, found none",
            where=lines.where(row),
            remedy="Remove the record, or give it a text.",
        )
    return {"query_id": identity.strip(), **record}


def _words(value: str) -> str:
    """Return the text of an element, without the tags in it."""
    parts = cdata_parts(value)
    parts[::2] = [html.unescape(without_tags(part)) for part in parts[::2]]
    return " ".join(" ".join(parts).split())
