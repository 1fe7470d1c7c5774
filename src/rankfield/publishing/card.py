"""The model card of a published model: how to load it, its fields, its proof, its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rankfield import __version__
from rankfield.encoders import RankingModel
from rankfield.escaping import markdown_text
from rankfield.publishing.fields_file import fields_value
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.proof import Proof
from rankfield.report.markdown import dev_table, front_matter, markdown_recipe, markdown_table
from rankfield.training.dev_course import dev_rows
from rankfield.training.published_recipe import recipe_of_metadata

__all__ = ["ModelFacts", "published_card"]


@dataclass(frozen=True)
class ModelFacts:
    """What a card says of a model, so that the model need not stay in memory.

    fields: as `fields_value` gives them.
    metadata: how it was trained.
    """

    name: str
    fields: dict[str, Any]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, model: RankingModel) -> ModelFacts:
        """Return the facts of a model."""
        return cls(model.name, fields_value(model), dict(model.metadata))


def published_card(facts: ModelFacts, layout: ModelLayout, proof: Proof | None) -> str:
    """Return the card of one layout, in the form that model hubs read."""
    parts = [
        _front_matter(layout),
        f"# {markdown_text(facts.name)}",
        "An embedding model that ranks: nearest-neighbour search alone returns documents in the "
        f"order of their scores. This folder is for {layout.title}.",
        "## Use",
        layout.usage.strip(),
        "## Fields",
        _fields(facts),
        "## Proof",
        _proof(layout, proof),
        "## Training",
        _training(facts),
        f"Made with rankfield {__version__}.",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(layout: ModelLayout) -> str:
    values = {
        "library_name": layout.package or layout.name,
        "pipeline_tag": "feature-extraction",
        "tags": ["ranking", "retrieval", "embeddings", "contrastive-learning", "rankfield"],
    }
    return front_matter(values)


def _fields(facts: ModelFacts) -> str:
    rows = [
        [
            side,
            markdown_text(field["name"]),
            field["modality"],
            f"{field['weight']:g}",
            markdown_text(repr(facts.fields[side]["prefix"])),
        ]
        for side in ("query", "document")
        for field in facts.fields[side]["fields"]
    ]
    fusion = markdown_text(facts.fields["fusion"])
    return (
        markdown_table(["side", "field", "takes", "weight", "prefix of texts"], rows)
        + f"\n\n`fields.json` holds the same. A record's embedding: {fusion}. "
        f"Embeddings have {facts.fields['dimension']} dimensions; compare them by inner product."
    )


def _proof(layout: ModelLayout, proof: Proof | None) -> str:
    if proof is None:
        return (
            f"{layout.title} was not started: the files were checked against its documented schema."
        )
    rows = [
        ["largest 1 − cosine of a record's two vectors", f"{proof.largest_distance:.2g}"],
        ["largest difference of a cosine", f"{proof.largest_difference:.2g}"],
        ["allowed", f"{proof.tolerance:g}"],
    ]
    if proof.top10_overlap is not None:
        rows.append(["the same among the first 10", f"{proof.top10_overlap:.2%}"])
    if proof.ndcg10 is not None and proof.client_ndcg10 is not None:
        rows.append(["nDCG@10 by rankfield", f"{proof.ndcg10:.4f}"])
        rows.append(["nDCG@10 by the client", f"{proof.client_ndcg10:.4f}"])
    head = [f"{proof.client} against rankfield", "found"]
    note = "" if proof.ndcg10 is not None else " Without judgments the vectors alone were compared."
    return (
        f"The folder was loaded by its client and compared with the model on {proof.queries:,} "
        f"queries and {proof.documents:,} documents ({proof.incomplete:,} of them without some "
        f"field) of {markdown_text(proof.data)}.{note}\n\n{markdown_table(head, rows)}"
    )


def _training(facts: ModelFacts) -> str:
    data = facts.metadata.get("data", {})
    parts = []
    if isinstance(data, dict) and "name" in data:
        dev = facts.metadata.get("dev_ndcg@10")
        reached = f" Dev nDCG@10: {dev:.4f}." if isinstance(dev, float) else ""
        parts.append(
            f"Trained with rankfield (Generalized Contrastive Learning, arXiv 2404.08535) on "
            f"{markdown_text(data['name'])}.{reached}"
        )
    if table := dev_table(dev_rows(facts.metadata)):
        parts.append(table)
    if recipe := recipe_of_metadata(facts.metadata):
        parts.append(markdown_recipe(recipe))
    return "\n\n".join(parts) or "Nothing is known of its training."
