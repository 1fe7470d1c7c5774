"""TREC's topics in XML, as of its Web, Clinical and COVID tracks: <topic number="1">."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from itertools import accumulate

import polars as pl

from rankfield.errors import DataError
from rankfield.formats.text_tables import TextTable

__all__ = ["holds_xml_topics", "read_xml_topics"]

# not an XML parser: such files are often no XML, with a bare & or several roots
_TOPIC = re.compile(r"<topic(\s[^>]*)?>(.*?)(</topic\s*>|(?=<topic[\s>])|\Z)", re.DOTALL | re.I)
_ELEMENT = re.compile(r"<(\w+)(?:\s[^>]*)?(?<!/)>(.*?)</\1\s*>", re.DOTALL)
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"']*)["']""")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_IDS = ("number", "num", "id", "qid", "identifier")


def holds_xml_topics(lines: TextTable) -> bool:
    """Return whether a file begins with a tag and has <topic …> in its first hundred lines."""
    head = lines.frame["text"].head(100)
    return head[0].lstrip().startswith("<") and bool(head.str.contains(r"(?i)<topic[\s>]").any())


def read_xml_topics(lines: TextTable) -> TextTable:
    """Read <topic> … </topic>: query_id, and a column for each element in it, as query, narrative.

    The id is the attribute number, num, id or qid, or the element of such a name. Elements of one
    name are joined with line breaks.

    Raises:
        DataError: a <topic> that is not closed, without an id, or without any text.
    """
    texts = lines.frame["text"].to_list()
    starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
    # blanks in place of comments, so that places stay what they are
    whole = _COMMENT.sub(lambda match: " " * len(match[0]), "\n".join(texts))
    found: list[dict[str, str]] = []
    rows: list[int] = []
    for match in _TOPIC.finditer(whole):
        rows.append(bisect_right(starts, match.start()) - 1)
        if not match[3]:
            raise DataError(
                "<topic> is opened and never closed",
                where=lines.where(rows[-1]),
                remedy="End the record with </topic>; the file may be cut off.",
            )
        found.append(_topic(lines, rows[-1], match[1] or "", match[2]))
    names = dict.fromkeys(["query_id", *(name for record in found for name in record)])
    frame = pl.DataFrame(
        {n: pl.Series([r.get(n) or None for r in found], dtype=pl.String) for n in names}
    )
    return TextTable(lines.path, frame, None if lines.lines is None else lines.lines.gather(rows))


def _topic(lines: TextTable, row: int, attributes: str, body: str) -> dict[str, str]:
    record: dict[str, str] = {}
    for name, value in _ELEMENT.findall(body):
        text = _words(value)
        key = name.lower()
        record[key] = "\n".join(filter(None, (record.get(key), text)))
    given = {name.lower(): html.unescape(value) for name, value in _ATTRIBUTE.findall(attributes)}
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
    parts = _CDATA.split(value)  # every other one stood in CDATA, to the letter
    plain = [html.unescape(re.sub(r"<[^>]*>", " ", part)) for part in parts[::2]]
    parts[::2] = plain
    return " ".join(" ".join(parts).split())
