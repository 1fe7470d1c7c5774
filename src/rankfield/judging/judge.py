"""A language model grades pairs: several votes each, resumable to the vote."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from rankfield.errors import InputError, RemoteError
from rankfield.judging.cost import Cost, Prices, estimate_cost
from rankfield.judging.grades import Aggregate
from rankfield.judging.prompt import PairPrompts
from rankfield.judging.record import (
    JOURNAL,
    REQUESTS,
    finish,
    finished_before,
    human_agreement,
    judging_folder,
    vote_agreement,
)
from rankfield.judging.rubric import Rubric
from rankfield.judging.votes import ASKS, Vote, checked_answer, read_vote, vote_remarks, vote_tables
from rankfield.progress import progress
from rankfield.schema import RankingDataset
from rankfield.web import Fetcher, Journal, Limits, RequestError
from rankfield.web.chat import ChatAnswer, ChatEndpoint, Usage, key_from
from rankfield.web.fetcher import ServerGivenUpError
from rankfield.web.request_log import RequestLog
from rankfield.web.secrets import Secrets
from rankfield.work_folder import WorkFolder

__all__ = ["JudgeSettings", "judge"]

_MOST_REFUSED = 5
"""Queries that a filter may refuse before anything is answered; more is a mistake of settings."""


@dataclass(frozen=True)
class JudgeSettings:
    """How pairs are judged.

    votes: for each pair. aggregate: what makes a score of them (`grades.aggregate`).
    image_side: pixels of the longer side of images; 0: no images.
    seed: sent with each request, another one for each vote.
    prices: of tokens. max_cost: stop before more than that is spent; None: no bound.
    """

    votes: int = 3
    aggregate: Aggregate = "mean"
    image_side: int = 512
    seed: int = 0
    prices: Prices = field(default_factory=Prices)
    max_cost: float | None = None

    def __post_init__(self) -> None:
        if self.votes < 1:
            raise InputError(f"expected at least one vote, found {self.votes}", where="--votes")


def judge(
    dataset: RankingDataset,
    pairs: pl.DataFrame,
    rubric: Rubric,
    endpoint: ChatEndpoint,
    out: str | Path,
    *,
    settings: JudgeSettings | None = None,
    limits: Limits | None = None,
    human: pl.DataFrame | None = None,
    skip_failed: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Grade `pairs` with a language model, write the folder `out`, and return its judge.json.

    ``judgments.parquet`` has ``query_id``, ``doc_id``, ``score``, ``votes`` (how many have a grade)
    and ``disagreement`` (their standard deviation, n in the denominator); ``votes.parquet`` each
    vote: ``grade``, ``answer``, and ``imitates_prompt``, whether a text of the pair has the
    prompt's tags or an answer in it. Every answer is kept in ``OUT.partial``: the same call goes
    on where a killed one stopped.

    Args:
        dataset: texts and images of the pairs.
        pairs: ``query_id``, ``doc_id``, from `choose_pairs`.
        human: ``query_id``, ``doc_id``, ``score`` of people, to compare with.
        skip_failed: do without votes that failed, instead of stopping.
        report: gets one line for each thing worth knowing.

    Raises:
        InputError: the cost estimated is above `max_cost`, or a key is not set.
        ImageError: an image cannot be read; nothing is asked then.
        RemoteError: the endpoint refuses or fails, or `max_cost` is spent; nothing is lost.
        OutputError: `out` exists, or cannot be written.
    """
    settings = settings or JudgeSettings()
    run = _Run(
        dataset, rubric, endpoint, out=Path(out), settings=settings, limits=limits or Limits()
    )
    return run.finish(pairs, human, skip_failed=skip_failed, report=report)


class _Run:
    def __init__(
        self,
        dataset: RankingDataset,
        rubric: Rubric,
        endpoint: ChatEndpoint,
        *,
        out: Path,
        settings: JudgeSettings,
        limits: Limits,
    ) -> None:
        self.dataset, self.rubric, self.endpoint = dataset, rubric, endpoint
        self.out, self.settings, self.limits = out, settings, limits
        self.prompts = PairPrompts(dataset, rubric, image_side=settings.image_side)
        self.secrets = Secrets([key_from(endpoint.key_env)] if endpoint.key_env else [])
        self.spent = Usage()
        self._refusals: dict[str, RequestError] = {}
        self._refused_queries: set[str] = set()
        self._lock = threading.Lock()

    def finish(
        self,
        pairs: pl.DataFrame,
        human: pl.DataFrame | None,
        *,
        skip_failed: bool,
        report: Callable[[str], None],
    ) -> dict[str, Any]:
        settings = self.settings
        asked = self._asked(pairs)
        if (record := finished_before(self.out, self.dataset, asked)) is not None:
            return record
        estimate = estimate_cost(self.prompts, pairs, settings.votes, settings.prices)
        report(f"estimate: {estimate}")
        if remark := self._scale_remark():
            report(remark)
        self._require_affordable(estimate)
        with judging_folder(self.out) as work:
            votes = self._votes(pairs, work, skip_failed=skip_failed, report=report)
            judgments, table = vote_tables(
                pairs, votes, settings.aggregate, self.prompts.imitates_prompt
            )
            for remark in vote_remarks(table, votes):
                report(remark)
            record = asked | self._record(judgments, votes, human, estimate)
            finish(
                self.out, work,
                dataset=self.dataset, judgments=judgments, votes=table, record=record,
            )  # fmt: skip
            work.remove()
        return record

    def _require_affordable(self, estimate: Cost) -> None:
        bound = self.settings.max_cost
        if bound is not None and estimate.price > bound:
            raise InputError(
                f"the estimate, {estimate.price:,.2f}, is above {bound:,.2f}",
                where="--max-cost",
                remedy="Judge fewer pairs (--per-query), take fewer votes, or allow more.",
            )

    def _scale_remark(self) -> str:
        """Say that grades leave the data set's scale; "" if they do not."""
        low, *_, high = self.rubric.values
        scale = self.dataset.score_scale
        if scale.minimum <= low and high <= scale.maximum:
            return ""
        return (
            f"the grades, {low:g} to {high:g}, leave the data set's scale, {scale.minimum:g} to"
            f' {scale.maximum:g}: as further judgments they need map = "ranks" or "linear"'
        )

    def _votes(
        self,
        pairs: pl.DataFrame,
        work: WorkFolder,
        *,
        skip_failed: bool,
        report: Callable[[str], None],
    ) -> list[list[Vote]]:
        """Ask for what the journal lacks; return the votes of each pair."""
        with (
            Journal(work.path / JOURNAL, opener=work.opener) as journal,
            RequestLog(work.path / REQUESTS, self.secrets, opener=work.opener) as log,
        ):
            if failures := self._ask_all(pairs, journal, log):
                if not skip_failed or not len(journal):
                    raise RemoteError(
                        failures,
                        where=self.endpoint.model,
                        remedy="Nothing is lost: run the same command again. Or do without"
                        " them: --skip-failed.",
                    )
                report(failures)
            return [
                [self._vote(journal, q, d, v) for v in range(self.settings.votes)]
                for q, d in pairs.select("query_id", "doc_id").iter_rows()
            ]

    def _ask_all(self, pairs: pl.DataFrame, journal: Journal, log: RequestLog) -> str:
        """Ask for the votes that the journal lacks; return what failed, "" if nothing did."""
        asked = [
            (q, d, v)
            for q, d in pairs.select("query_id", "doc_id").iter_rows()
            for v in range(self.settings.votes)
        ]
        done = [self._vote(journal, *one) for one in asked]
        self.spent = _usage([answer for vote in done for answer in vote.answers])
        missing = [one for one, vote in zip(asked, done, strict=True) if not vote.is_done]
        self.prompts.check_images((q, d) for q, d, _ in missing)
        host = urlsplit(self.endpoint.url).hostname or ""
        failed: list[RequestError] = []
        with (
            progress("judge", len(asked), done=len(asked) - len(missing), unit="votes") as advance,
            Fetcher(self.limits, log, trusted=frozenset([host])) as web,
        ):

            def ask(one: tuple[str, str, int]) -> None:
                try:
                    self._ask(journal, web, *one)
                except ServerGivenUpError:
                    raise
                except RequestError as error:
                    failed.append(error)

            web.each(ask, missing, advance)
        if not failed or len(journal):
            self._keep_refusals(journal)
        if not failed:
            return ""
        return f"{len(failed):,} of {len(asked):,} votes failed; the first: {failed[0]}"

    def _keep_refusals(self, journal: Journal) -> None:
        """Note what was refused for good, as by a filter; all refused is a mistake of settings."""
        if self._refusals and not len(journal):
            raise self._all_refused()
        for key, error in self._refusals.items():
            journal.put(key, {"refused": error.problem})

    def _all_refused(self) -> RemoteError:
        first = next(iter(self._refusals.values()))
        return RemoteError(
            f"every vote is refused; the first: {first.problem}",
            where=first.where,
            remedy="Does the endpoint take these settings? See --no-seed and --extra.",
        )

    def _ask(self, journal: Journal, web: Fetcher, query_id: str, doc_id: str, vote: int) -> None:
        """Ask for one vote until it has a grade, `ASKS` times at most."""
        while not (known := self._vote(journal, query_id, doc_id, vote)).is_done:
            ask = len(known.answers)
            key = self._key(query_id, doc_id, vote, ask)
            self._require_money()
            request = self.endpoint.request(
                self.prompts.messages(query_id, doc_id),
                seed=self.settings.seed + vote * ASKS + ask,
            )
            # a filter may refuse all documents of a query, one after another
            request = replace(request, refusal_counts=False)
            try:
                answer = web.fetch(request, ChatEndpoint.parse)
            except RequestError as error:
                if error.passing:
                    raise
                if error.status in (401, 403, 404):
                    raise _refused(error) from None
                self._refusals[key] = error
                self._refused_queries.add(query_id)
                if not len(journal) and len(self._refused_queries) > _MOST_REFUSED:
                    raise self._all_refused() from None
                return
            journal.put(key, answer.to_json() | {"max_tokens": self.endpoint.max_tokens})
            with self._lock:
                self.spent = self.spent + (answer.usage or Usage())

    def _require_money(self) -> None:
        bound, spent = self.settings.max_cost, self.settings.prices.of(self.spent)
        if bound is not None and spent >= bound:
            raise RemoteError(
                f"{spent:,.2f} is spent, --max-cost allows {bound:,.2f}",
                where=self.endpoint.model,
                remedy="Nothing is lost: run the same command again with a higher --max-cost.",
            )

    def _key(self, query_id: str, doc_id: str, vote: int, ask: int) -> str:
        """Return what one answer is known by: everything that it depends on, images by place.

        But not by `max_tokens`: an answer that came whole under one limit is whole under another.
        """
        parts = [
            self.endpoint.model_dump(mode="json", exclude={"key_env", "max_tokens"}),
            self.prompts.identity(query_id, doc_id),
            [self.settings.image_side, self.settings.seed, vote, ask],
        ]
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def _vote(self, journal: Journal, query_id: str, doc_id: str, vote: int) -> Vote:
        """Return what the journal knows of a vote."""
        keys = (self._key(query_id, doc_id, vote, ask) for ask in range(ASKS))
        answers = (journal.read(key, checked_answer) for key in keys)
        return read_vote(answers, self.rubric, max_tokens=self.endpoint.max_tokens)

    def _asked(self, pairs: pl.DataFrame) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint.model_dump(mode="json", exclude={"key_env"}),
            "settings": asdict(self.settings),
            "rubric": self.rubric.model_dump(mode="json"),
            "pairs": pairs.height,
        }

    def _record(
        self,
        judgments: pl.DataFrame,
        votes: list[list[Vote]],
        human: pl.DataFrame | None,
        estimate: Cost,
    ) -> dict[str, Any]:
        settings, grades = self.settings, self.rubric.values
        answers = [answer for pair in votes for vote in pair for answer in vote.answers]
        usage = _usage(answers)
        cost = Cost(
            len(answers), usage.prompt_tokens, usage.completion_tokens, settings.prices.of(usage)
        )
        given = None if human is None else human_agreement(judgments, human, grades)
        return {
            "judged": judgments.height,
            "missing_votes": sum(vote.grade is None for pair in votes for vote in pair),
            "agreement_of_votes": vote_agreement([[v.grade for v in p] for p in votes], grades),
            "agreement_with_human": given,
            "cost_estimated": estimate.to_json(),
            "cost": cost.to_json() | {"answers_without_usage": sum(not a.usage for a in answers)},
        }


def _usage(answers: list[ChatAnswer]) -> Usage:
    return sum((answer.usage for answer in answers if answer.usage), Usage())


def _refused(error: RequestError) -> RemoteError:
    remedy = {
        401: "Is the key right? --key-env names the variable that holds it.",
        403: "May this key use the model?",
        404: "Are --endpoint and --model right? The address ends in /v1 as a rule.",
    }[error.status or 404]
    return RemoteError(error.problem, where=error.where, remedy=remedy)
