"""A model card: what a model is for, how it was made, how well it ranks, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rankfield.escaping import fenced_code, markdown_text
from rankfield.report.content import Content
from rankfield.report.markdown import (
    dev_table,
    front_matter,
    markdown_recipe,
    markdown_table,
    splits_table,
)
from rankfield.report.numbers import PRIMARY, about_tests
from rankfield.report.style import SPLIT_TITLES, decimal, split_title

__all__ = ["render_model_card"]


def render_model_card(content: Content) -> str:
    """Return the card of the last model of a report, in the form that model hubs read.

    YAML front matter (each value as JSON, which YAML contains) with the metrics of every split as a
    `model-index`; then Markdown: use, training with the whole recipe, data, evaluation with
    intervals, limits. Names and texts are escaped.
    """
    name = content.names[-1]
    facts = dict(content.facts)
    parts = [
        _front_matter(content, name, facts),
        f"# {markdown_text(name)}",
        "An embedding model that ranks: single-stage vector search with it returns documents in "
        "the order of their scores. Trained with rankfield (Generalized Contrastive Learning, "
        "arXiv 2404.08535).",
        "## Use",
        _use(content),
        "## Training",
        _training(content, name),
        "## Data",
        "\n".join(
            f"- {key}: {markdown_text(value)}" for key, value in content.facts if key != "rankfield"
        ),
        "## Evaluation",
        markdown_text(" ".join(content.summary)),
        splits_table(content),
        _every_metric(content, name),
        "Exact search over the whole corpus of each split; scores stay floats, an unjudged "
        "document counts as worth nothing. Intervals are 95 %, over queries. "
        f"{about_tests(content.rows) if len(content.names) > 1 else ''}".rstrip(),
        "## Limits",
        _limits(content),
        f"Made with rankfield {content.version}.",
    ]
    return "\n\n".join(parts) + "\n"


def _use(content: Content) -> str:
    """Return code that loads the model and searches the data that it was measured on."""
    folder = json.dumps(content.folder, ensure_ascii=False)
    lines = [
        "import rankfield",
        "",
        'model = rankfield.RankingModel.load("model")',
        f"data = rankfield.RankingDataset.load({folder})",
    ]
    if content.query is None:
        lines.append("print(model.encode_documents(data.documents).shape)")
    else:
        query = json.dumps(content.query, ensure_ascii=False)
        lines.append(f"print(rankfield.retrieve(model, data, {query}, k=10))")
    return fenced_code("\n".join(lines), "python")


def _front_matter(content: Content, name: str, facts: Mapping[str, str]) -> str:
    values = {
        "library_name": "rankfield",
        "pipeline_tag": "feature-extraction",
        "tags": ["ranking", "retrieval", "embeddings", "contrastive-learning", "GCL"],
        "model-index": [{"name": name, "results": _index(content, facts)}],
    }
    return front_matter(values)


def _every_metric(content: Content, name: str) -> str:
    rows = [
        [markdown_text(title), markdown_text(metric), decimal(values[-1], 4)]
        for title, metric, values in content.every_metric
    ]
    return markdown_table(["split", "metric", markdown_text(name)], rows)


def _index(content: Content, facts: Mapping[str, str]) -> list[dict[str, Any]]:
    results = []
    for row in content.rows:
        title = split_title(row.split)
        metrics = [
            {"type": metric, "name": metric, "value": values[-1]}
            for group, metric, values in content.every_metric
            if group == title and values[-1] is not None
        ]
        dataset = {"name": facts.get("Data set", ""), "type": "rankfield", "split": row.split}
        dataset["revision"] = facts.get("Fingerprint", "")
        task = {"type": "text-retrieval", "name": "ranking"}
        results.append({"task": task, "dataset": dataset, "metrics": metrics})
    return results


def _training(content: Content, name: str) -> str:
    parts = [markdown_text(content.runs.get(name, "Nothing is known of its training."))]
    if name in content.logs and (table := dev_table(content.logs[name].outcome)):
        parts.append(table)
    if recipe := content.recipes.get(name):
        parts.append(markdown_recipe(recipe))
    return "\n\n".join(parts)


def _limits(content: Content) -> str:
    subset = markdown_text(content.subset)
    lines = [
        f"- The figures hold for the {subset} queries of this data set; other queries and "
        "catalogues need their own evaluation.",
        "- What the judgments prefer, the model prefers: their biases (positions, popularity, "
        "raters) are learnt with them.",
    ]
    for row in content.robustness:
        if row.field and row.values[-1] is not None:
            where = SPLIT_TITLES.get(row.split) or markdown_text(row.split)
            field = markdown_text(row.field)
            lines.append(f"- Without {field}, {where}: {PRIMARY} {decimal(row.values[-1])}.")
    worst = min(
        (
            (mean.value, split, name, table.title)
            for table in content.slices
            for split, name, means in table.rows
            if (mean := means[-1]).value is not None and mean.queries >= 5
        ),
        default=None,
    )
    if worst is not None:
        value, split, name, title = worst
        where = split_title(split)
        weakest = markdown_text(f"{title.lower()}, {name} ({where})")
        lines.append(f"- Weakest slice: {weakest}: {decimal(value)}.")
    return "\n".join(lines)
