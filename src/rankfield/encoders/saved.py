"""A model's folder: the encoder's own files, and `rankfield.json` with the fields and weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rankfield.encoders.base import Encoder
from rankfield.encoders.composed import ComposedEncoder
from rankfield.encoders.dual import DualEncoder
from rankfield.encoders.open_clip import OpenClipEncoder
from rankfield.encoders.pretrained import loading, require_plain_files
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.sequence import SequenceEncoder
from rankfield.errors import ModelError
from rankfield.files import new_folder, read_json_object, write_json
from rankfield.schema import Field

if TYPE_CHECKING:
    from rankfield.encoders.model import RankingModel

__all__ = ["HEADER", "load_saved", "save_model"]

HEADER = "rankfield.json"
_ENCODERS: dict[str, type[Encoder]] = {
    "composed": ComposedEncoder,
    "open-clip": OpenClipEncoder,
    "sequence": SequenceEncoder,
    "transformers": DualEncoder,
}
_FORMAT = 1


def save_model(model: RankingModel, folder: str | Path, *, overwrite: bool) -> None:
    """Write the encoder's own files and `rankfield.json`.

    Raises:
        OutputError: the folder exists and `overwrite` is false, or it cannot be written.
    """
    from rankfield import __version__

    with quiet_transformers(), new_folder(folder, overwrite=overwrite) as temporary:
        model.encoder.save(temporary)
        header = {
            "format": _FORMAT,
            "rankfield": __version__,
            "name": model.name,
            "encoder": model.encoder.kind,
            "dimension": model.dimension,
            "query_fields": [vars(f) for f in model.current_fields("query")],
            "document_fields": [vars(f) for f in model.current_fields("document")],
            "log_logit_scale": float(model.log_logit_scale.detach()),
            "made": model.metadata,
        }
        write_json(temporary / HEADER, header)


def load_saved(
    kind: type[RankingModel], folder: str | Path, *, allow_code: bool = False
) -> RankingModel:
    """Return the model that `save_model` wrote, in evaluation mode.

    Raises:
        ModelError: not a model folder, or one that cannot be read.
        RecipeError: it has a module of a factory, and code is not allowed.
    """
    root = Path(folder)
    path = root / HEADER
    if not path.is_file():
        problem = "not a rankfield model" if root.exists() else "there is no such folder"
        raise ModelError(
            problem, where=str(root), remedy="Give the folder `model` of a training run."
        )
    require_plain_files(root)
    with loading(str(root)), quiet_transformers():
        header = read_json_object(path)
        if header["format"] != _FORMAT:
            raise ModelError(
                f"expected format {_FORMAT}, found {header['format']!r}",
                where=str(path),
                remedy="Use the rankfield version that wrote it.",
            )
        of = _ENCODERS[header["encoder"]]
        encoder: Encoder
        if issubclass(of, ComposedEncoder):
            encoder = of.load(root, allow_code=allow_code)
        else:
            encoder = of.load(root)
        model = kind(
            encoder,
            [Field(**f) for f in header["query_fields"]],
            [Field(**f) for f in header["document_fields"]],
            name=header["name"],
            metadata=header["made"],
        )
        # Folders of earlier versions have no dimension.
        model.truncate_to(header.get("dimension", encoder.dimension))
        with torch.no_grad():
            model.log_logit_scale.fill_(header["log_logit_scale"])
    return model.eval()
