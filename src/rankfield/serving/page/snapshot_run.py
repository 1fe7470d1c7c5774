"""Taking a snapshot: a query set against a served index, measured by the grades of now."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import polars as pl

from rankfield.errors import RankfieldError
from rankfield.evaluation import DatasetIdentity, Results
from rankfield.evaluation.measure_run import measure_run
from rankfield.evaluation.measured_data import judgments_fingerprint
from rankfield.metrics import Metric
from rankfield.query import Answer, Query
from rankfield.serving.failures import Failure, failure_of
from rankfield.serving.page.compare_address import Column
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.measured import ranked_run
from rankfield.serving.page.order import Order
from rankfield.serving.page.query_set import GradedQuery, QuerySet
from rankfield.serving.page.snapshot_store import SnapshotInputs
from rankfield.serving.served_index import Opened
from rankfield.serving.timestamp import timestamp

__all__ = ["METRICS", "Snapshot", "Taken", "measured_snapshot", "prepared_snapshot"]

METRICS = ("nDCG@10", "ERR@10", "RBP@10", "RR@10", "P@10", "R@10", "R@100", "Judged@10")
"""What a snapshot measures."""

_K = 100
_AT_ONCE = 8
_PAIR = ["query_id", "doc_id", "score"]


@dataclass(frozen=True)
class Snapshot:
    """What to take: of which index, in which order, of which queries."""

    index: str
    order: Order
    only_graded: bool
    note: str


@dataclass(frozen=True)
class Taken:
    """A snapshot that can begin.

    chosen: the queries to ask.
    of: how many there were to choose from.
    grades: of these queries, as `KnownGrades.of`.
    """

    wanted: Snapshot
    opened: Opened
    queries: QuerySet
    chosen: tuple[GradedQuery, ...]
    of: int
    grades: pl.DataFrame


def prepared_snapshot(desk: Desk, wanted: Snapshot) -> Taken:
    """Return which queries a snapshot asks, and their grades.

    Of more queries than the limit those are asked whose hashes are the smallest: the same ones
    every time.

    Raises:
        Failure: an unknown index, no data set, or no judged query.
        DataError: broken judgments.
    """
    opened = desk.service.index(wanted.index).current()
    queries = desk.query_set(opened.index)
    if queries is None:
        raise Failure(
            404,
            f"the data set {opened.index.metadata.data!r} of this index, whose queries are asked, "
            "is not where it was",
            code="not_available",
        )
    grades = desk.grades.of(desk.data_sets.of(opened.index), list(queries.queries))
    judged = set(grades["query_id"])
    if not judged:
        raise Failure(
            422,
            "no query of the set is judged, and a snapshot measures by judgments: grade some",
            code="no_judgments",
        )
    every = [one for one in queries.queries.values() if one.query_id in judged]
    if not wanted.only_graded:
        every = list(queries.queries.values())
    kept = set(sorted(_hash(one.query_id) for one in every)[: desk.service.limits.snapshot])
    chosen = tuple(one for one in every if _hash(one.query_id) in kept)
    grades = grades.filter(pl.col("query_id").is_in([one.query_id for one in chosen]))
    if grades.is_empty():
        raise Failure(
            422,
            "none of the queries that the limit leaves is judged: take the judged ones only",
            code="no_judgments",
        )
    return Taken(wanted, opened, queries, chosen, len(every), grades)


def measured_snapshot(desk: Desk, taken: Taken, progress: Callable[[int], None]) -> Results:
    """Ask the queries and return what a snapshot keeps.

    Several queries are asked at once, so that the model's thread takes them together; those of
    other requests have their turn between.

    Args:
        desk: of the service.
        taken: what to ask.
        progress: takes how many are answered.

    Raises:
        Failure: a query that cannot be asked, the index was written meanwhile, or the service
            stops.
    """
    start, when = time.perf_counter(), timestamp()
    answers = _answers(desk, taken, progress)
    versions = {one.index_version for one in answers.values()}
    if len(versions) > 1:
        raise Failure(
            409,
            "the index was written while its queries were asked: take the snapshot again",
            code="index_changed",
        )
    metadata, column = taken.opened.index.metadata, Column(taken.wanted.index, taken.wanted.order)
    judgments = taken.grades.select(_PAIR)
    inputs = SnapshotInputs(
        index=taken.wanted.index,
        index_version=versions.pop(),
        model=metadata.model,
        model_fingerprint=next(iter(answers.values())).model_fingerprint,
        data_fingerprint=metadata.data_fingerprint,
        hybrid=taken.wanted.order.hybrid,
        diversity=taken.wanted.order.diversity,
        k=_K,
        query_set=_query_set_hash(taken.chosen),
        judgments=judgments_fingerprint(judgments),
        asked=len(taken.chosen),
        of=taken.of,
        only_graded=taken.wanted.only_graded,
        by_raters=int(taken.grades["by_raters"].sum()),
        note=taken.wanted.note,
        time=when,
        seconds=round(time.perf_counter() - start, 3),
    )
    results = measure_run(
        judgments,
        ranked_run({query: one.ids for query, one in answers.items()}),
        taken.queries.scale,
        [Metric.parse(one) for one in METRICS],
        data=DatasetIdentity(metadata.data, inputs.judgments),
        name=str(column),
        ties="file",
        ignore_unknown=True,
        metadata={"keep": _K, "snapshot": inputs.model_dump()},
    )
    return _with_all(results, taken, answers)


@dataclass(frozen=True)
class _Ranking:
    """What is kept of an answer: rank, doc_id, similarity and score of each result."""

    index_version: str
    model_fingerprint: str
    rows: tuple[tuple[int, str, float, float], ...]

    @classmethod
    def of(cls, answer: Answer) -> _Ranking:
        rows = tuple((hit.rank, hit.doc_id, hit.similarity, hit.score) for hit in answer.hits)
        return cls(answer.index_version, answer.model_fingerprint, rows)

    @property
    def ids(self) -> list[str]:
        return [doc for _, doc, _, _ in self.rows]


def _answers(desk: Desk, taken: Taken, progress: Callable[[int], None]) -> dict[str, _Ranking]:
    service = desk.service

    def answered(one: GradedQuery) -> _Ranking:
        if not service.ready:
            raise Failure(503, "the service stops", code="not_ready")
        try:
            query = Query.of([taken.queries.part(one)], limit=_K, **taken.wanted.order.settings())
            with service.thread.request():
                return _Ranking.of(taken.opened.searcher.search(query))
        except RankfieldError as error:
            said = failure_of(error, service.places).message
            message = f"the query {one.query_id[:200]!r} cannot be asked: {said}"
            raise Failure(422, message, code="query_failed") from None

    found: dict[str, _Ranking] = {}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rankfield-snapshot") as pool:
        futures = [pool.submit(answered, one) for one in taken.chosen]
        try:
            for one, future in zip(taken.chosen, futures, strict=True):
                found[one.query_id] = future.result()
                progress(len(found))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return found


def _with_all(results: Results, taken: Taken, answers: Mapping[str, _Ranking]) -> Results:
    """Return results with titles, with queries that have no judgment, and with whole rankings."""
    (split,) = results.splits
    titles = pl.DataFrame(
        {
            "split": [split] * len(taken.chosen),
            "query_id": [one.query_id for one in taken.chosen],
            "title": [one.title[:200] for one in taken.chosen],
        }
    )
    queries = titles.join(
        results.queries, on=["split", "query_id"], how="left", maintain_order="left"
    )
    rows = [(split, query, *row) for query, one in answers.items() for row in one.rows]
    schema = {
        "split": pl.String, "query_id": pl.String, "rank": pl.Int64, "doc_id": pl.String,
        "similarity": pl.Float32, "score": pl.Float64,
    }  # fmt: skip
    rankings = pl.DataFrame(rows, schema=schema, orient="row").join(
        taken.grades.select("query_id", "doc_id", judged_score="score"),
        on=["query_id", "doc_id"],
        how="left",
        maintain_order="left",
    )
    return replace(results, queries=queries, rankings=rankings)


def _hash(query_id: str) -> str:
    return hashlib.sha256(query_id.encode()).hexdigest()


def _query_set_hash(queries: Sequence[GradedQuery]) -> str:
    """Return 16 hexadecimal digits of ids, texts and images, in any order; files by their paths."""
    said = sorted([one.query_id, one.text or "", _hash_of(one.image)] for one in queries)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _hash_of(image: str | bytes | None) -> str:
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    return image or ""
