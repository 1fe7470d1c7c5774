"""The model card of a model in rankfield's own folder, for a hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankfield import __version__
from rankfield.escaping import markdown_text
from rankfield.report.markdown import front_matter, markdown_recipe, markdown_table

__all__ = ["saved_card"]

_USE = """```python
from huggingface_hub import snapshot_download

from rankfield import RankingModel

model = RankingModel.load(snapshot_download("REPOSITORY"))
queries = model.encode_queries(["red mug"])
```"""


def saved_card(header: Mapping[str, Any], repository: str, recipe: Mapping[str, Any]) -> str:
    """Return Markdown with a YAML head: use, fields with their weights, training.

    Args:
        header: what `rankfield.json` holds.
        repository: "user/name".
        recipe: as others may read it; empty: nothing is known of the training.
    """
    values = {
        "library_name": "rankfield",
        "pipeline_tag": "feature-extraction",
        "tags": ["ranking", "retrieval", "embeddings", "contrastive-learning"],
    }
    rows = [
        [side, markdown_text(str(field["name"])), str(field["modality"]), f"{field['weight']:g}"]
        for side in ("query", "document")
        for field in header.get(f"{side}_fields", [])
    ]
    training = markdown_recipe(recipe) if recipe else "Nothing is known of its training."
    parts = [
        front_matter(values),
        f"# {markdown_text(str(header.get('name', repository)))}",
        "An embedding model that ranks: nearest-neighbour search alone returns documents in the "
        "order of their scores. Made with rankfield (Generalized Contrastive Learning, arXiv "
        "2404.08535).",
        "## Use",
        _USE.replace("REPOSITORY", repository),
        "## Fields",
        markdown_table(["side", "field", "takes", "weight"], rows),
        "## Training",
        training,
        f"Made with rankfield {__version__}.",
    ]
    return "\n\n".join(parts) + "\n"
