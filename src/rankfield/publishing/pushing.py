"""A model on a hub that speaks Hugging Face's protocol: whole, resumable, without secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rankfield.errors import InputError
from rankfield.publishing.hub import hub_endpoint, hub_token, upload
from rankfield.publishing.private_texts import refuse_private
from rankfield.publishing.pushed_files import CARD, PROOF, PushedFile, pushed_files

__all__ = ["Push", "push", "push_plan"]


@dataclass(frozen=True)
class Push:
    """What goes, or went, where.

    repository: "user/name". endpoint: the hub's address. revision: the branch. private: True or
    False for a new repository; None: as the account has it. files: by name. left_out: names of the
    folder's files that stay here. url: of the commit, once it is there.
    """

    repository: str
    endpoint: str
    revision: str
    private: bool | None
    files: tuple[PushedFile, ...]
    left_out: tuple[str, ...]
    url: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def notes(self) -> list[str]:
        """Return what a reader of the repository would miss, one sentence each."""
        names = {file.name.rpartition("/")[2] for file in self.files}
        notes = []
        if CARD not in {file.name for file in self.files}:
            notes.append(
                "There is no model card: `rankfield report RESULTS --model-card FILE` writes one,"
                " --card FILE takes it."
            )
        if PROOF not in names:
            notes.append(
                "There is no proof, as this is rankfield's own layout: `rankfield publish` writes"
                " a proven one for other programs."
            )
        return notes


def push_plan(
    model: str | Path,
    repository: str,
    *,
    card: str | Path | None = None,
    results: Sequence[str | Path] = (),
    private: bool | None = None,
    revision: str | None = None,
    endpoint: str | None = None,
) -> Push:
    """Return what `push` would send, without a request.

    Arguments and errors are those of `push`.
    """
    folder = Path(model)
    _check_repository(repository)
    files, left_out = pushed_files(
        folder,
        repository,
        card=None if card is None else Path(card),
        results=[Path(r) for r in results],
    )
    token = hub_token()
    refuse_private(files, folder, [token] if token else [])
    return Push(
        repository,
        hub_endpoint(endpoint),
        revision or "main",
        private,
        tuple(files),
        tuple(left_out),
    )


def push(
    model: str | Path,
    repository: str,
    *,
    card: str | Path | None = None,
    results: Sequence[str | Path] = (),
    private: bool | None = None,
    revision: str | None = None,
    endpoint: str | None = None,
    message: str = "Model of rankfield",
) -> Push:
    """Put a model's folder into a repository of a hub, in one commit, and return what went.

    The repository is made if there is none. What an interrupted push has sent is not sent again.
    Files of the same name are replaced, others of the repository stay. The token is that of
    HF_TOKEN or of `hf auth login`.

    Args:
        model: a folder that `RankingModel.save` or `publish` wrote.
        repository: "user/name".
        card: the model card; by default the folder's README.md, of a saved model one that is made.
        results: files of `rankfield evaluate --out`, of which the means go.
        private: of the repository: True or False; None leaves it as the account has it.
        revision: the branch, made from the main one if there is none; by default the main one.
        endpoint: the hub's address; by default HF_ENDPOINT or https://huggingface.co.
        message: of the commit.

    Raises:
        ModelError: the folder holds neither a model nor a published one.
        InputError: there is no token; a name or address that cannot be; a place of this machine or
            a key in a file; a repository that is public and should be private, or the reverse.
        RemoteError: the hub cannot be reached or refuses.
    """
    plan = push_plan(
        model,
        repository,
        card=card,
        results=results,
        private=private,
        revision=revision,
        endpoint=endpoint,
    )
    token = hub_token()
    if not token:
        raise InputError(
            "there is no token for the hub",
            where=plan.endpoint,
            remedy="Log in (`hf auth login`) or set HF_TOKEN.",
        )
    url = upload(
        plan.files,
        plan.repository,
        endpoint=plan.endpoint,
        token=token,
        private=private,
        revision=plan.revision,
        message=message,
    )
    return Push(
        plan.repository, plan.endpoint, plan.revision, private, plan.files, plan.left_out, url
    )


def _check_repository(repository: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repository)
    except HFValidationError:
        problem = "no name of a repository"
    else:
        if repository.count("/") == 1:
            return
        problem = "whose repository it is is missing"
    raise InputError(problem, where=repr(repository), remedy="Name it as USER/NAME.")
