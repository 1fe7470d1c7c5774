"""The votes on a pair: what the model answered, the grade in it, and the tables made of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from rankfield.judging.grades import Aggregate, aggregate, parse_grade
from rankfield.judging.rubric import Rubric
from rankfield.web.chat import ChatAnswer

__all__ = ["ASKS", "Vote", "checked_answer", "read_vote", "vote_remarks", "vote_tables"]

ASKS = 2
"""How often a vote is asked for: once more if the first answer has no grade."""

_FILTERED = "withheld by the endpoint (content_filter)"
_SCHEMA = {
    "query_id": pl.String,
    "doc_id": pl.String,
    "vote": pl.Int64,
    "grade": pl.Float64,
    "answer": pl.String,
    "imitates_prompt": pl.Boolean,
}


@dataclass
class Vote:
    """One vote: its grade, None without one; all answers; why there is none for good."""

    grade: float | None = None
    answers: list[ChatAnswer] = field(default_factory=list)
    refused: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be asked."""
        return self.grade is not None or self.refused is not None or len(self.answers) == ASKS

    @property
    def text(self) -> str | None:
        """What the model wrote last, or why it wrote nothing."""
        return self.refused or (self.answers[-1].text if self.answers else None)


def read_vote(values: Iterator[Any], rubric: Rubric, *, max_tokens: int | None = None) -> Vote:
    """Return the vote that the journal's values of its asks make, None where there is none.

    max_tokens: the limit of an answer now. An answer without a grade that was cut off does not
        count if it may be longer now.
    """
    found = Vote()
    for value in values:
        if value is None:
            break
        if "refused" in value:
            found.refused = value["refused"]
            break
        answer = ChatAnswer.from_json(value)
        grade = parse_grade(answer.text, rubric, cut_off=answer.is_cut_off)
        cut_off = grade is None and answer.is_cut_off
        if cut_off and _may_allow_more(max_tokens, value.get("max_tokens")):
            break
        found.answers.append(answer)
        found.grade = grade
        if answer.is_filtered:
            found.grade, found.refused = None, answer.text or _FILTERED
        if found.grade is not None or found.refused is not None:
            break
    return found


def checked_answer(value: Any) -> dict[str, Any]:
    """Return a value of the journal that `read_vote` can read.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    if not isinstance(value, dict):
        raise TypeError("expected a table")
    if "refused" in value:
        if not isinstance(value["refused"], str):
            raise ValueError("expected a text")
    else:
        ChatAnswer.from_json(value)
        if not isinstance(value.get("max_tokens"), int | None):
            raise ValueError("expected a number of tokens")
    return value


def _may_allow_more(now: int | None, then: int | None) -> bool:
    """Return whether a limit of tokens may be above an earlier one; None is the endpoint's own."""
    return now != then and (now is None or then is None or now > then)


def vote_tables(
    pairs: pl.DataFrame,
    votes: Sequence[Sequence[Vote]],
    how: Aggregate,
    imitates: Callable[[str, str], bool],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the judgments and the votes as tables.

    Args:
        pairs: ``query_id``, ``doc_id``.
        votes: of each pair.
        how: what makes a score of them.
        imitates: whether the texts of a query and a document imitate the prompt.
    """
    grades = [[v.grade for v in pair if v.grade is not None] for pair in votes]
    judgments = pairs.with_columns(
        score=pl.Series([aggregate(g, how) if g else None for g in grades], dtype=pl.Float64),
        votes=pl.Series(map(len, grades), dtype=pl.Int64),
        disagreement=pl.Series(
            [statistics.pstdev(g) if g else None for g in grades], dtype=pl.Float64
        ),
    ).drop_nulls("score")
    rows = []
    for (query_id, doc_id), pair in zip(pairs.iter_rows(), votes, strict=True):
        marked = imitates(query_id, doc_id)
        rows += [
            (query_id, doc_id, number, vote.grade, vote.text, marked)
            for number, vote in enumerate(pair, 1)
        ]
    return judgments, pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def vote_remarks(table: pl.DataFrame, votes: Sequence[Sequence[Vote]]) -> Iterator[str]:
    """Yield what is worth knowing of the votes, one line for each kind."""
    if (without := table.filter(pl.col("grade").is_null())).height:
        answer = without["answer"][0]
        yield (
            f"{without.height:,} of {table.height:,} votes are without a grade; the first:"
            f" {_pair(without)}: {'no answer' if answer is None else repr(answer[-100:])}"
        )
    cut = sum(v.grade is None and any(a.is_cut_off for a in v.answers) for p in votes for v in p)
    if cut:
        yield f"{cut:,} votes have no grade because answers are cut off: raise --max-tokens"
    marked = table.filter("imitates_prompt").unique(["query_id", "doc_id"], maintain_order=True)
    if marked.height:
        yield (
            f"{marked.height:,} pairs hold text that imitates the prompt or an answer"
            f" (imitates_prompt in votes.parquet); the first: {_pair(marked)}"
        )


def _pair(table: pl.DataFrame) -> str:
    return f"query {table['query_id'][0]!r}, document {table['doc_id'][0]!r}"
