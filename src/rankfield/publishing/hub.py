"""The protocol of Hugging Face's hub, through its own library; keys never come into a message."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from rankfield.errors import InputError, RankfieldError, RemoteError
from rankfield.publishing.pushed_files import PushedFile
from rankfield.terminal import one_line
from rankfield.web.addresses import web_address
from rankfield.web.secrets import Secrets

__all__ = ["hub_endpoint", "hub_token", "upload"]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_AGAIN = "Run the same again: what has arrived is not sent twice."
_LONGEST = 500
_LARGE = 1 << 20
"""Bytes of a file that is sent before the commit."""


def hub_token() -> str | None:
    """Return the token of HF_TOKEN or of `hf auth login`, if there is one."""
    from huggingface_hub import get_token

    return get_token()


def hub_endpoint(given: str | None) -> str:
    """Return the hub's address: the given one, else HF_ENDPOINT, else https://huggingface.co.

    Raises:
        InputError: no address, or one that would get the token unencrypted over a network.
    """
    from huggingface_hub import constants

    url = (given or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
    try:
        parts = urlsplit(web_address(url))
    except ValueError as error:
        # a password may be in it
        shown = "an address with a password" if "@" in url else str(error)
        raise InputError(f"cannot be used: {shown}", where="the hub's address") from None
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InputError(
            "the token would go over the network unencrypted",
            where=url,
            remedy="Give an address that begins with https://.",
        )
    return url


def upload(
    files: Sequence[PushedFile],
    repository: str,
    *,
    endpoint: str,
    token: str,
    private: bool | None,
    revision: str,
    message: str,
) -> str:
    """Put files into a repository in one commit and return the commit's address.

    Large files are sent first, one by one, and a second call does not send them again; then one
    commit names all files, so that nobody ever loads half a model.

    Args:
        files: by name.
        repository: "user/name", made if there is none.
        endpoint, token: of the hub.
        private: of a new repository; of one that is there it is checked.
        revision: the branch, made if there is none.
        message: of the commit.

    Raises:
        InputError: the repository is public and should be private, or the reverse.
        RemoteError: the hub cannot be reached or refuses; the token is not in the message.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    with _explained(endpoint, token):
        api = HfApi(endpoint=endpoint, token=token)
        api.create_repo(repository, private=private, exist_ok=True)
        found = bool(api.model_info(repository).private)
        if private is not None and found != private:
            raise InputError(
                f"the repository exists and is {'private' if found else 'public'}",
                where=f"{endpoint}/{repository}",
                remedy="Change its visibility there, or name another. Nothing was sent.",
            )
        if revision != "main":
            api.create_branch(repository, branch=revision, exist_ok=True)
        operations = [CommitOperationAdd(file.name, _source(file)) for file in files]
        for file, operation in zip(files, operations, strict=True):
            if file.size >= _LARGE:  # apart, so that what is there counts if the next one fails
                api.preupload_lfs_files(
                    repository, [operation], revision=revision, free_memory=False
                )
        done = api.create_commit(repository, operations, commit_message=message, revision=revision)
    return str(done.commit_url)


def _source(file: PushedFile) -> str | bytes:
    return file.source if isinstance(file.source, bytes) else str(file.source)


@contextmanager
def _explained(endpoint: str, token: str) -> Iterator[None]:
    """Turn what the hub's library raises into a `RemoteError` without the token."""
    try:
        yield
    except RankfieldError:
        raise
    # its transports, one of them written in Rust, raise errors of many kinds
    except Exception as error:
        text = Secrets([token]).hidden(one_line(_first_cause(error)))[:_LONGEST]
        raise RemoteError(text, where=endpoint, remedy=_remedy(error)) from None


def _first_cause(error: BaseException) -> str:
    """Return what happened; where a wrapper says only which file, what happened to it too."""
    texts = [str(error) or type(error).__name__]
    if error.__cause__ is not None:
        texts.append(str(error.__cause__))
    return ": ".join(texts)


def _remedy(error: BaseException) -> str:
    from huggingface_hub.errors import OfflineModeIsEnabled

    causes = [error, error.__cause__]
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return "Unset HF_HUB_OFFLINE."
    statuses = [_status(cause) for cause in causes]
    if any(status in (401, 403) for status in statuses):
        return "The token must be valid and may write there: `hf auth login`, or set HF_TOKEN."
    return _AGAIN


def _status(error: Any) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)
