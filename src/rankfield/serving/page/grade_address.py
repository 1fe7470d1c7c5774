"""The addresses of the pages for raters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from rankfield.serving.rules import Rule, RuleName

__all__ = ["SORTS", "GradeAddress", "SortName"]

SortName = Literal["given", "worst", "disagreed", "unjudged"]

SORTS: Mapping[SortName, str] = {
    "given": "as given",
    "worst": "worst first",
    "disagreed": "most disagreed first",
    "unjudged": "most unjudged first",
}
"""Order of the queries → what the page calls it."""


@dataclass(frozen=True)
class GradeAddress:
    """What the addresses of the pages for raters hold, beside a query or a place in a list.

    rater: who; "" before a name is given.
    index: whose data set, and whose results are measured; None: the first.
    sort: order of the queries.
    rule: how grades of several raters become one.
    settled: the rater whose grade stands alone.
    k: how many results of each index are judged.
    blind: whether ranks are hidden.
    """

    rater: str = ""
    index: str | None = None
    sort: SortName = "given"
    rule: RuleName = "mean"
    settled: str | None = None
    k: int = 10
    blind: bool = True

    @property
    def combining(self) -> Rule:
        """The rule that combines grades."""
        return Rule(self.rule, self.settled)

    def pairs(self) -> dict[str, str]:
        """Return what stands in an address: all that is not as by default."""
        values = {
            "rater": self.rater, "index": self.index or "", "settled": self.settled or "",
            "sort": self.sort if self.sort != "given" else "",
            "rule": self.rule if self.rule != "mean" else "",
            "k": str(self.k) if self.k != 10 else "", "blind": "" if self.blind else "0",
        }  # fmt: skip
        return {key: value for key, value in values.items() if value}

    def overview(self, start: int = 0) -> str:
        """Return the address of the list of queries."""
        return self._to("/grade", start=str(start) if start else "")

    def query(self, query_id: str, doc_id: str = "") -> str:
        """Return the address of a query, and of one of its documents."""
        return self._to("/grade", query=query_id, doc=doc_id)

    def agreement(self, start: int = 0) -> str:
        """Return the address of the list of disagreements."""
        return self._to("/agreement", start=str(start) if start else "")

    def _to(self, path: str, **more: str) -> str:
        return f"{path}?" + urlencode(
            {**self.pairs(), **{key: value for key, value in more.items() if value}}
        )
