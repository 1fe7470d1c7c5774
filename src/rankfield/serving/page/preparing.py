"""The first page as fast as the others: what is made once is made before the service listens."""

from __future__ import annotations

from rankfield.errors import RankfieldError
from rankfield.serving.failures import Failure
from rankfield.serving.page.address import PagePart, PageQuery
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.search_view import found_values, shown_values
from rankfield.serving.page.templates import rendered

__all__ = ["prepare"]

_MOST = 1_000_000
"""Documents of an index that is prepared: of a larger one it takes long and may not be needed."""


def prepare(desk: Desk) -> None:
    """Make a page of each index: columns to filter by, first pass, counts, templates.

    What fails is logged: the first request that needs it says why.
    """
    for name, served in desk.service.indexes.items():
        opened = served.current()
        if not 0 < len(opened.index) <= _MOST:
            continue
        texts = "text" in opened.model.encoder.modalities
        first = str(opened.index.documents()["doc_id"][0])
        page = PageQuery(
            index=name, words="words" if texts else "", parts=(PagePart("like", first, 1.0),)
        )
        try:
            rendered("search.html", shown_values(desk, page) | found_values(desk, page))
        except (RankfieldError, Failure) as error:
            desk.service.log("not prepared", index=name, error=str(error))
