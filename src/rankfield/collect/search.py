"""The ranked results of a query, page by page, each answer in the journal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from rankfield.collect.job import SearchSection
from rankfield.collect.mapping import Found
from rankfield.web import Answer, Fetcher, Journal, Request
from rankfield.web.chat import key_from

__all__ = ["Search"]

_SLOT = re.compile(r"\{(query|start|page|size|text_fields)\}")


class Search:
    """Asks a search API; the key is read from its environment variable once.

    Raises:
        InputError: the variable is not set.
    """

    def __init__(self, section: SearchSection) -> None:
        self.section = section
        self.key = key_from(section.key_env) if section.key_env else ""

    def results(
        self, query: str, journal: Journal, fetcher: Fetcher | None = None
    ) -> Iterator[Found]:
        """Yield the results of a query, best first: at most `depth`, each document once.

        Answers come from the journal; what it lacks is asked for with `fetcher`, and kept. Without
        a fetcher the results end there.

        Raises:
            RequestError: a page cannot be had.
        """
        section, start = self.section, 0
        seen: set[str] = set()
        for page in range(1, section.max_pages + 1):
            request = self.request(query, start=start, page=page)
            answer = journal.get(request.key)
            if answer is None:
                if fetcher is None:
                    return
                answer = fetcher.fetch(request, self._parsed)
                journal.put(request.key, answer)
            found = section.mapping.read(answer)
            new = {f.doc_id: f for f in reversed(found) if f.doc_id not in seen}
            for one in [f for f in found if new.get(f.doc_id) is f]:
                if len(seen) == section.depth:
                    return
                seen.add(one.doc_id)
                yield one
            start += len(found)
            # a page without anything new: the API repeats itself, or has no pages
            if not new or len(found) < section.page_size or len(seen) >= section.depth:
                return

    def _parsed(self, answer: Answer) -> Any:
        """Return the answer without secrets, once it is certain that its results can be read."""
        text = answer.body.decode("utf-8", "replace")
        value = replace(answer, body=text.encode()).json()
        self.section.mapping.read(value)
        return value

    def request(self, query: str, *, start: int = 0, page: int = 1) -> Request:
        """Return the request of one page."""
        section = self.section
        size = min(section.page_size or section.depth, section.depth - start)
        slots: dict[str, Any] = {
            "query": query,
            "start": start,
            "page": page,
            "size": max(size, 1),
            "text_fields": section.text_fields,
        }
        url = _SLOT.sub(lambda m: quote(str(slots[m[1]]), safe=""), section.url)
        if section.kind == "elasticsearch":
            url = f"{url.rstrip('/')}/{quote(section.index, safe=',*')}/_search"
        params = {name: str(_filled(value, slots)) for name, value in section.params.items()}
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params)
        return Request(
            url=url,
            method=section.method,
            body=None if section.method == "GET" else _filled(section.body, slots),
            headers=section.headers,
            secret_params={section.key_param: self.key} if self.key and section.key_param else {},
            secret_headers={section.key_header: section.key_prefix + self.key}
            if self.key and section.key_header
            else {},
        )


def _filled(value: Any, slots: dict[str, Any]) -> Any:
    """Fill the slots of a template; a text that is one slot alone becomes its value, typed."""
    if isinstance(value, dict):
        return {key: _filled(inner, slots) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, slots) for inner in value]
    if not isinstance(value, str):
        return value
    if whole := _SLOT.fullmatch(value):
        return slots[whole[1]]
    return _SLOT.sub(lambda m: slots[m[1]] if m[1] == "query" else json.dumps(slots[m[1]]), value)
