"""TREC's tagged text: topics in <top>, documents in <DOC>."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from rankfield.errors import DataError
from rankfield.formats.trec.markup import elements, without_tags
from rankfield.io.columns import text_frame
from rankfield.io.table import Table

__all__ = ["holds_tag", "read_tagged_documents", "read_tagged_topics"]

_TAG = re.compile(r"<(\w+)>", re.ASCII)
_LABEL = re.compile(r"^(number|topic|description|narrative)\s*:", re.IGNORECASE)


def holds_tag(lines: Table, tag: str) -> bool:
    """Return whether one of the first hundred lines begins with <tag>, in any case."""
    return bool(lines.frame["text"].head(100).str.contains(rf"(?i)^\s*<{tag}>").any())


def read_tagged_topics(lines: Table) -> Table:
    """Read <top> … </top>: query_id from <num>, and a column for each other tag, as title, desc.

    Words like "Number:" and "Description:" at the head of a value are dropped.

    Raises:
        DataError: a <top> that is not closed, without <num>, or without any text.
    """
    return _records(lines, "top", "num", "query_id", _topic)


def read_tagged_documents(lines: Table) -> Table:
    """Read <DOC> … </DOC>: doc_id from <DOCNO>, title, and the text of all other tags.

    The title is that of <TITLE>, <HEADLINE>, <HL> or <H3>. Other tags' texts are joined with line
    breaks in their order; tags within them are dropped.

    Raises:
        DataError: a <DOC> that is not closed, without <DOCNO>, or without any text.
    """
    return _records(lines, "DOC", "DOCNO", "doc_id", _document)


def _records(
    lines: Table,
    tag: str,
    number: str,
    identity: str,
    read: Callable[[str], dict[str, str]],
) -> Table:
    """Read each record; a line that begins with <tag> begins one, </tag> ends it."""
    opening, closing = re.compile(rf"^\s*<{tag}>", re.I), re.compile(rf"</{tag}>\s*$", re.I)
    found: list[dict[str, str]] = []
    starts: list[int] = []
    inside: list[str] | None = None
    first = 0
    for row, text in enumerate(lines.frame["text"]):
        if opening.match(text):
            if inside is not None:
                raise _unclosed(lines, first, tag)
            inside, first = [], row
        if inside is None:
            raise DataError(
                f"expected <{tag}>, found {text[:60]!r}",
                where=lines.where(row),
                remedy=f"Every record stands between <{tag}> and </{tag}>.",
            )
        inside.append(text)
        if closing.search(text):
            body = closing.sub("", opening.sub("", "\n".join(inside)))
            found.append(_identified(lines, first, read(body), number, identity))
            starts.append(first)
            inside = None
    if inside is not None:
        raise _unclosed(lines, first, tag)
    frame = text_frame(lines.path, found, [identity])
    return lines.taken(frame, starts)


def _identified(
    lines: Table, row: int, record: dict[str, str], number: str, identity: str
) -> dict[str, str]:
    name = record.pop(number.lower(), "")
    if not name:
        raise DataError(
            f"expected <{number}> with an id, found none",
            where=lines.where(row),
            remedy=f"Give the record a <{number}>.",
        )
    if not any(record.values()):
        raise DataError(
            f"expected a text beside <{number}>, found none",
            where=lines.where(row),
            remedy="Remove the record, or give it a text.",
        )
    return {identity: name, **record}


def _unclosed(lines: Table, row: int, tag: str) -> DataError:
    return DataError(
        f"<{tag}> is opened and never closed",
        where=lines.where(row),
        remedy=f"End the record with </{tag}>; the file may be cut off.",
    )


def _topic(body: str) -> dict[str, str]:
    record = {}
    parts = _TAG.split(body)
    for name, value in zip(parts[1::2], parts[2::2], strict=True):
        text = re.sub(r"</\w+>", " ", value).strip()
        record[name.lower()] = _words(_LABEL.sub("", text))
    return record


def _document(body: str) -> dict[str, str]:
    record = {"docno": "", "title": "", "text": ""}
    texts = []
    for tag, content in elements(body, plain=True):
        name, value = tag.lower(), _words(without_tags(content))
        if name == "docno":
            record["docno"] = value
        elif name in ("title", "headline", "hl", "h3") and not record["title"]:
            record["title"] = value
        elif name != "docid" and value:
            texts.append(value)
    record["text"] = "\n".join(texts)
    return record


def _words(text: str) -> str:
    return " ".join(html.unescape(text).split())
