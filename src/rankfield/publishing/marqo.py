"""The settings of a Marqo index whose model is a published folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rankfield.encoders import RankingModel
from rankfield.files import write_json
from rankfield.publishing.fields_file import prefix

__all__ = ["PLACE", "write_marqo"]

PLACE = "https://PLACE/OF/YOUR"
"""Where the user puts the model's file or archive."""


def write_marqo(model: RankingModel, folder: Path, properties: dict[str, Any]) -> None:
    """Write `marqo.json`: what `create_index(settings_dict=…)` takes, but for a file's address.

    Args:
        model: whose name and prefixes stand in the settings.
        folder: where the file goes.
        properties: Marqo's `modelProperties`.
    """
    settings = {
        "model": model.name,
        "modelProperties": properties,
        "normalizeEmbeddings": True,
        "textQueryPrefix": prefix(model, "query"),
        "textChunkPrefix": prefix(model, "document"),
    }
    write_json(folder / "marqo.json", settings)
