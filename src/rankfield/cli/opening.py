"""How commands open the model that they are given: a saved one, or any pretrained one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rankfield.cli.option_groups import takes_options
from rankfield.cli.options import AllowCode, EmbeddingPrecision
from rankfield.errors import InputError
from rankfield.messages import did_you_mean
from rankfield.nearby import bare_name
from rankfield.terminal import echo

if TYPE_CHECKING:
    from rankfield.encoders import RankingModel
    from rankfield.schema import Field, RankingDataset

__all__ = ["AnyModel", "Opened", "Opening", "opens_a_model"]

AnyModel = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Folder `model` of a training run; or any pretrained model: folder, hub id, or "
        "package:NAME.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Opened:
    """A model, and which one it is.

    fingerprint: of its files and of the fields, prefixes and pooling that options gave.
    metadata: what results say of it.
    """

    model: RankingModel
    fingerprint: str
    metadata: dict[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The options of a command that opens a model.

    Its fields are the options themselves, as Typer reads them.
    """

    query_field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=WEIGHT]",
            help="Of a pretrained model: a field of the queries that it gets; repeat for more. "
            "Default: the data set's own fields of the kinds that the model takes.",
            show_default=False,
        ),
    ] = None
    document_field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=WEIGHT]",
            help="Likewise of the documents: --document-field photo=0.9 --document-field title=0.1",
            show_default=False,
        ),
    ] = None
    query_prefix: Annotated[
        str | None,
        typer.Option(
            help="Of a pretrained model: put before each query text. Default: the model's prompt.",
            show_default=False,
        ),
    ] = None
    document_prefix: Annotated[
        str | None,
        typer.Option(help="Likewise before each document text.", show_default=False),
    ] = None
    pooling: Annotated[
        Literal["mean", "cls", "last_token", "pooler"] | None,
        typer.Option(
            help="Of a text model of transformers. Default: the last token of a decoder, of others "
            "the mean.",
            show_default=False,
        ),
    ] = None
    fusion: Annotated[
        Literal["fields", "sequence"] | None,
        typer.Option(
            help="Of a model that reads texts and images in one sequence: fuse the vectors of the "
            "fields (the default), or read all fields of a record together.",
            show_default=False,
        ),
    ] = None
    revision: Annotated[
        str | None,
        typer.Option(
            help="Branch, tag or commit of a model of the hub. Default: its main branch.",
            show_default=False,
        ),
    ] = None
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights of a model of open_clip (.pt, .safetensors); MODEL is then an "
            "architecture, such as ViT-B-32, or another model of it.",
            show_default=False,
        ),
    ] = None
    embedding_precision: EmbeddingPrecision = "float32"
    allow_code: AllowCode = False

    def given(self) -> str:
        """Return the first option of a pretrained model alone that was given; "" if none was."""
        names = (one.name for one in fields(self) if one.default is None)
        found = (f"--{name.replace('_', '-')}" for name in names if getattr(self, name) is not None)
        return next(found, "")

    def open(self, name: str, dataset: RankingDataset, device: str) -> Opened:
        """Return the model of this name, with fields of a data set; its metadata name a precision.

        Raises:
            ModelError: there is none, or it cannot be loaded.
            InputError: an option that does not fit the model or the data.
            RecipeError: a package that is not allowed.
        """
        opened = self._opened(name, dataset, device)
        opened.model.precision = self.embedding_precision
        if self.embedding_precision != "float32":
            opened.metadata["embedding_precision"] = opened.model.computes_in
            if self.embedding_precision == "auto":
                echo(f"note: embeds in {opened.model.computes_in}")
        return opened

    def _opened(self, name: str, dataset: RankingDataset, device: str) -> Opened:
        from rankfield.encoders import RankingModel
        from rankfield.encoders.fingerprint import model_fingerprint
        from rankfield.encoders.source import LOCAL, as_open_clip, model_folder, model_name
        from rankfield.training.run_inputs import file_fingerprint

        if self.checkpoint is not None:
            place, fingerprint = name, file_fingerprint(self.checkpoint)
        else:
            folder = model_folder(name, revision=self.revision, allow_code=self.allow_code)
            place, fingerprint = str(folder), model_fingerprint(folder)
            if (folder / "rankfield.json").is_file():
                return self._saved(name, folder, fingerprint, device)
            if as_open_clip(name):
                place = f"{LOCAL}{folder}"
        model = RankingModel.from_pretrained(
            place,
            query_fields=_fields("--query-field", self.query_field, dataset.query_fields),
            document_fields=_fields(
                "--document-field", self.document_field, dataset.document_fields
            ),
            query_prefix=self.query_prefix,
            document_prefix=self.document_prefix,
            pooling=self.pooling,
            fusion=self.fusion,
            revision=self.revision if self.checkpoint else None,
            checkpoint=self.checkpoint,
            dataset=dataset,
            device=device,
        )
        model.name = model_name(name)
        _note_left_out(model, self, dataset)
        fingerprint = _fingerprint(fingerprint, model, self)
        path = name.removeprefix(LOCAL)
        said = bare_name(path) if Path(path).exists() else name
        return Opened(model, fingerprint, {"pretrained": said, "fingerprint": fingerprint})

    def _saved(self, name: str, folder: Path, fingerprint: str, device: str) -> Opened:
        from rankfield.encoders import RankingModel

        if option := self.given():
            raise InputError(
                f"is of a pretrained model, {name} is a model that rankfield saved",
                where=option,
                remedy="Leave it out.",
            )
        metadata: dict[str, str | int] = {
            "model": str(folder.resolve()),
            "fingerprint": fingerprint,
        }
        model = RankingModel.load(folder, allow_code=self.allow_code).to(device)
        return Opened(model, fingerprint, metadata)


opens_a_model = takes_options(Opening, "opening")
"""Gives a command the options of `Opening`, which it takes as its argument `opening`."""


def _fields(option: str, given: Sequence[str] | None, known: Sequence[Field]) -> list[Field] | None:
    """Return the fields of a data set that an option names, with its weights."""
    from rankfield.schema import Field

    if given is None:
        return None
    by_name = {field.name: field for field in known}
    found = []
    for text in given:
        name, equals, number = text.rpartition("=") if text not in by_name else (text, "", "")
        if name not in by_name:
            raise InputError(
                f"expected a field of the data, {', '.join(by_name)}, found {name or text!r}",
                where=option,
                remedy=did_you_mean(name or text, tuple(by_name)),
            )
        field = by_name[name]
        weight = field.weight
        if equals:
            try:
                weight = float(number)
            except ValueError:
                weight = 0.0
            if not 0 < weight < float("inf"):
                raise InputError(f"expected a weight above 0, found {number!r}", where=option)
        found.append(Field(name, field.modality, weight))
    return found


def _note_left_out(model: RankingModel, opening: Opening, dataset: RankingDataset) -> None:
    for side, given, used, known in (
        ("query", opening.query_field, model.query_fields, dataset.query_fields),
        ("document", opening.document_field, model.document_fields, dataset.document_fields),
    ):
        names = {field.name for field in used}
        lost = [field.name for field in known if field.name not in names]
        if given is None and lost:
            takes = " and ".join(sorted(model.encoder.modalities))
            echo(f"note: the model takes {takes}: without the {side} field {', '.join(lost)}")


def _fingerprint(files: str, model: RankingModel, opening: Opening) -> str:
    prefixes = (opening.query_prefix, opening.document_prefix, opening.pooling)
    values = (files, model.query_fields, model.document_fields, prefixes)
    said = repr(values if opening.fusion is None else (*values, opening.fusion))
    return hashlib.sha256(said.encode()).hexdigest()[:16]
