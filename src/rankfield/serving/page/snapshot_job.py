"""The snapshot that is being taken: one at a time, beside the requests."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import uuid4

from rankfield.errors import RankfieldError
from rankfield.serving.failures import Failure, failure_of
from rankfield.serving.service import Service

__all__ = ["SnapshotJob"]


@dataclass(frozen=True)
class _State:
    """How far it is; at its end it has the id of the snapshot, or an error."""

    job: str
    done: int
    total: int
    snapshot: str | None = None
    error: str | None = None

    @property
    def runs(self) -> bool:
        return self.snapshot is None and self.error is None


class SnapshotJob:
    """At most one job, and what became of the last one.

    Args:
        service: in whose log unexpected errors go.
    """

    def __init__(self, service: Service) -> None:
        self._service, self._lock = service, threading.Lock()
        self._state: _State | None = None

    def begin(self, total: int) -> str:
        """Return the id of a new job.

        Raises:
            Failure: another one runs.
        """
        with self._lock:
            if self._state is not None and self._state.runs:
                raise Failure(
                    409,
                    f"a snapshot is being taken, {self._state.done} of {self._state.total} queries "
                    "are done: wait for its end",
                    code="busy",
                    headers={"Retry-After": "5"},
                )
            self._state = _State(uuid4().hex, 0, total)
            return self._state.job

    def run(self, work: Callable[[Callable[[int], None]], str]) -> None:
        """Do the job's work, which returns the id of a snapshot; its error is kept.

        Args:
            work: takes what is to be told how many queries are done.
        """
        try:
            self._change(snapshot=work(lambda done: self._change(done=done)))
        except (RankfieldError, Failure) as error:
            self._change(error=failure_of(error, self._service.places).message)
        except BaseException as error:
            self._service.log("failure", traceback="".join(traceback.format_exception(error)))
            self._change(error="an error of the service")

    def _change(self, **changes: Any) -> None:
        with self._lock:
            assert self._state is not None
            self._state = replace(self._state, **changes)

    def state(self) -> dict[str, Any] | None:
        """Return `job`, `done`, `total`, `snapshot`, `error` and `runs` of the last job, if any."""
        with self._lock:
            state = self._state
        return None if state is None else {**asdict(state), "runs": state.runs}
