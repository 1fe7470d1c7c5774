"""What a job sends of this machine: files and keys, named and asked for before it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rankfield.errors import InputError

if TYPE_CHECKING:
    from rankfield.collect.job import Job

__all__ = ["require_leave", "sendings"]


def sendings(job: Job) -> Iterator[tuple[str, str, str]]:
    """Yield what a job reads here, which file or variable that is, and which server learns it."""
    queries, search = job.queries, _server(job.search.url)
    endpoint = queries.endpoint if queries.source == "generate" else None
    asked = search if endpoint is None else f"{_server(endpoint.url)} and {search}"
    yield "the lines of the file", queries.file, asked
    if endpoint is not None and queries.prompt:
        yield "the text of the file", queries.prompt, _server(endpoint.url)
    if job.search.key_env:
        yield "the environment variable", job.search.key_env, search
    # its key is read for any source
    if queries.endpoint is not None and queries.endpoint.key_env:
        yield "the environment variable", queries.endpoint.key_env, _server(queries.endpoint.url)


def require_leave(
    job: Job, file: Path, allow_env: Collection[str], allow_files: Collection[str | Path]
) -> None:
    """Refuse a job that names variables, or files outside its folder, that the user did not.

    Raises:
        InputError: names each, and what to add.
    """
    folder = file.parent.resolve()
    allowed = {Path(path).resolve() for path in allow_files}
    wanted, remedies = [], []
    for what, name, server in sendings(job):
        if what == "the environment variable":
            refused, option = name not in allow_env, f"--allow-env {name}"
        else:
            path = Path(name).resolve()
            refused = not path.is_relative_to(folder) and path not in allowed
            option = f"--allow-file {name}"
        if refused:
            wanted.append(f"{what} {name} to {server}")
            remedies.append(option)
    if wanted:
        raise InputError(
            f"the job would send {', and '.join(wanted)}",
            where=str(file),
            remedy=f"Read the job. If that is meant, add {' '.join(remedies)}.",
        )


def _server(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
