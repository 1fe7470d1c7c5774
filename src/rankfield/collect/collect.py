"""Queries, their results and their images become a data set; a run can be killed and resumed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from rankfield import __version__
from rankfield.collect.assemble import Gathered, assemble
from rankfield.collect.images import Images
from rankfield.collect.job import Job
from rankfield.collect.leave import sendings
from rankfield.collect.mapping import Found
from rankfield.collect.queries import Report, job_queries
from rankfield.collect.search import Search
from rankfield.errors import DataError, OutputError, RemoteError
from rankfield.files import read_json, write_json
from rankfield.outputs import already_exists, storage_errors
from rankfield.progress import progress
from rankfield.schema import RankingDataset
from rankfield.web import Fetcher, Journal, RequestError
from rankfield.web.chat import key_from
from rankfield.web.fetcher import ServerGivenUpError
from rankfield.web.request_log import RequestLog
from rankfield.web.secrets import Secrets
from rankfield.work_folder import WorkFolder, work_folder

__all__ = ["collect", "preview"]

_JOURNAL, _REQUESTS = "journal.jsonl", "requests.jsonl"


def collect(
    job: Job, out: str | Path, *, skip_failed: bool = False, report: Report = lambda _: None
) -> RankingDataset:
    """Make the data set of a job in the folder `out`, and return it loaded.

    Every answer is kept in ``OUT.partial`` the moment it is complete: the same call goes on where
    a killed one stopped, and asks for nothing twice. `out` appears whole, with ``requests.jsonl``
    (every attempt) and ``collect.json`` (job, counts) beside the tables; then ``OUT.partial`` is
    removed.

    Args:
        job: from `load_job`.
        out: a folder that does not exist yet.
        skip_failed: do without queries and images that failed, instead of stopping.
        report: gets one line for each thing that was left out or refused.

    Raises:
        InputError: a query or category file is malformed, or a key is not set.
        RemoteError: a server refuses or fails; what has been collected stays.
        OutputError: `out` exists, or cannot be written.
    """
    return _Run(job, Path(out), report).finish(skip_failed)


def preview(job: Job) -> tuple[str, list[Found]]:
    """Return the first query of a job and its results, from one run of requests that keeps nothing.

    Raises:
        InputError, RemoteError: as `collect`.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run = _Run(job, Path(folder) / "preview", lambda _: None)
        return run.first()


class _Run:
    def __init__(self, job: Job, out: Path, report: Report) -> None:
        self.job, self.out, self.report = job, out, report
        self.search = Search(job.search)
        endpoint = job.queries.endpoint
        variables = [endpoint.key_env] if endpoint and endpoint.key_env else []
        self.secrets = Secrets([self.search.key, *map(key_from, variables)])
        named = [job.search.url, *([endpoint.url] if endpoint else [])]
        self.trusted = frozenset(urlsplit(url).hostname or "" for url in named)

    def finish(self, skip_failed: bool) -> RankingDataset:
        if os.path.lexists(self.out):
            return self._finished_before()
        with self._work_folder() as work:
            self._make(work, skip_failed)
            work.remove()
        return RankingDataset.load(self.out)

    def _work_folder(self, *, make: bool = True) -> AbstractContextManager[WorkFolder]:
        path = self.out.with_name(f"{self.out.name}.partial")
        return work_folder(path, "collect", names=(_JOURNAL, _REQUESTS, "images"), make=make)

    def _make(self, work: WorkFolder, skip_failed: bool) -> None:
        """Collect what the work folder lacks, and write the data set."""
        with self._journal(work) as journal, self._log(work) as log:
            queries = self._queries(journal, log)
            failed = self._search(queries, journal, log)
            self._refuse_gaps("queries", list(failed.values()), queries.height, skip_failed)
            gathered = Gathered()
            for query_id, query in queries.select("query_id", "query").iter_rows():
                if query not in failed:
                    gathered.add(query_id, self.search.results(query, journal))
            if not gathered.documents:
                raise DataError(
                    "no query has any result",
                    where="search",
                    remedy="Look at one answer with --preview.",
                )
            images = self._images(gathered, work, journal, log, skip_failed=skip_failed)
            dataset, notes = assemble(self.job, queries, gathered, images, work.path)
            for note in notes:
                self.report(note)
            if dataset.judgments.is_empty():
                raise DataError(
                    "no document has a usable field or image",
                    where="search.mapping",
                    remedy="Look at one answer with --preview.",
                )
            self._write(dataset, work)

    def first(self) -> tuple[str, list[Found]]:
        with (
            self._work_folder() as work,
            self._journal(work) as journal,
            self._log(work) as log,
        ):
            one = self.job.queries.model_copy(update={"maximum": 1})
            queries = job_queries(one, journal, self._fetcher(log), self.report)
            query = queries["query"][0]
            with self._fetcher(log)() as web:
                return query, list(self.search.results(query, journal, web))

    def _finished_before(self) -> RankingDataset:
        """Return the data set if the run ended between writing it and tidying up, else refuse."""
        record = self.out / "collect.json"
        if record.is_file():
            with suppress(OutputError), self._work_folder(make=False) as work:
                written = read_json(record)
                job = self.job.model_dump(mode="json")
                if isinstance(written, dict) and written.get("job") == job:
                    work.remove()
                    return RankingDataset.load(self.out)
        raise already_exists(self.out)

    def _journal(self, work: WorkFolder) -> Journal:
        return Journal(work.path / _JOURNAL, opener=work.opener)

    def _log(self, work: WorkFolder) -> RequestLog:
        return RequestLog(work.path / _REQUESTS, self.secrets, opener=work.opener)

    def _fetcher(self, log: RequestLog) -> Callable[[], Fetcher]:
        return lambda: Fetcher(self.job.limits, log, trusted=self.trusted)

    def _queries(self, journal: Journal, log: RequestLog) -> pl.DataFrame:
        queries = job_queries(self.job.queries, journal, self._fetcher(log), self.report)
        self.report(f"{queries.height:,} queries")
        for what, name, server in sendings(self.job):
            self.report(f"{what} {name} goes to {server}")
        return queries

    def _search(
        self, queries: pl.DataFrame, journal: Journal, log: RequestLog
    ) -> dict[str, RequestError]:
        failed: dict[str, RequestError] = {}
        with (
            progress("search", queries.height, unit="queries") as advance,
            self._fetcher(log)() as web,
        ):

            def ask(query: str) -> None:
                try:
                    for _ in self.search.results(query, journal, web):
                        pass
                except ServerGivenUpError:
                    raise
                except RequestError as error:
                    if error.status in (401, 403, 404):
                        raise _refused(error) from None
                    failed[query] = error

            web.each(ask, queries["query"], advance)
        return failed

    def _refuse_gaps(
        self, what: str, failed: list[RequestError], total: int, skip_failed: bool
    ) -> None:
        if not failed:
            return
        text = f"{len(failed):,} of {total:,} {what} failed; the first: {failed[0]}"
        if not skip_failed:
            raise RemoteError(
                text,
                where=self.out.name,
                remedy="Run the same command again: only those are asked for. Or do without them:"
                " --skip-failed.",
            )
        self.report(text)

    def _images(
        self,
        gathered: Gathered,
        work: WorkFolder,
        journal: Journal,
        log: RequestLog,
        *,
        skip_failed: bool,
    ) -> Images | None:
        addresses = gathered.images(self.job)
        if not self.job.images.download or not addresses:
            return None
        images = Images(
            self.job.images,
            work.path,
            journal,
            self.job.search.url,
            allow_private=self.job.limits.allow_private,
        )
        missing = [a for a in addresses if not images.is_done(a)]
        failed: list[RequestError] = []
        with (
            progress(
                "images", len(addresses), done=len(addresses) - len(missing), unit="images"
            ) as advance,
            # images come from anywhere: only limits.allow_private lets them come from inside
            Fetcher(self.job.limits, log) as web,
        ):

            def download(address: str) -> None:
                try:
                    images.get(address, web)
                except RequestError as error:
                    failed.append(error)

            web.each(download, missing, advance)
        self._refuse_gaps("images", failed, len(addresses), skip_failed)
        self._report_refused(images, addresses)
        return images

    def _report_refused(self, images: Images, addresses: list[str]) -> None:
        refused = [(a, reason) for a in addresses if (reason := images.reason(a))]
        if refused:
            address, reason = refused[0]
            self.report(
                f"{len(refused):,} of {len(addresses):,} images are refused; the first:"
                f" {address[:200]}: {reason}"
            )

    def _write(self, dataset: RankingDataset, work: WorkFolder) -> None:
        record: dict[str, Any] = {
            "made_by": f"rankfield collect {__version__}",
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "fingerprint": dataset.fingerprint(),
            "queries": dataset.queries.height,
            "documents": dataset.documents.height,
            "judgments": dataset.judgments.height,
            "notes": list(dataset.provenance.notes),
            "job": self.job.model_dump(mode="json"),
        }
        # made inside OUT.partial, so that a kill leaves nothing beside it
        with storage_errors(self.out):
            staged = work.staged() / "data"
            dataset.save(staged)
            write_json(staged / "collect.json", record)
            shutil.copyfile(work.path / _REQUESTS, staged / _REQUESTS)
            staged.rename(self.out)


def _refused(error: RequestError) -> RemoteError:
    remedy = {
        401: "Is the key right? search.key_env names the variable that holds it.",
        403: "May this key search here?",
        404: "Is the address right? See search.url and search.index.",
    }[error.status or 404]
    return RemoteError(error.problem, where=error.where, remedy=remedy)
