"""The data card: what a data set is, where it came from, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rankfield import __version__
from rankfield.escaping import markdown_text, yaml_value
from rankfield.files import new_file
from rankfield.schema import Tables
from rankfield.schema.storing import fingerprint
from rankfield.validate import Problem, Summary, summarise

__all__ = ["card_facts", "data_card", "write_data_card"]

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)
# of the identifiers that the Hugging Face hub knows, those of data
_LICENCES = (
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-3.0",
    "cc-by-sa-4.0",
    "cc-by-sa-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nd-4.0",
    "odc-by",
    "odbl",
    "pddl",
    "cdla-permissive-2.0",
    "cdla-sharing-1.0",
    "osl-3.0",
    "afl-3.0",
)


def card_facts(dataset: Tables) -> list[tuple[str, str]]:
    """Return (name, value) of all there is to say; what is not known is left out."""
    origin, scale = dataset.provenance, dataset.score_scale
    fields = [
        f"{table}: " + ", ".join(f"{f.name} ({f.modality}, weight {f.weight:g})" for f in found)
        for table in ("queries", "documents")
        if (found := dataset.fields(table))
    ]
    facts = [
        ("Name", dataset.name),
        ("Source", origin.source),
        ("Licence", origin.licence or "not stated"),
        ("Fields", "; ".join(fields)),
        (
            "Score scale",
            f"{scale}; larger is better",
        ),
        ("Meaning of a score", scale.meaning),
        ("Made by", origin.made_by),
        ("Seed", "" if origin.seed is None else str(origin.seed)),
        *(("How it was made", note) for note in origin.notes),
        ("Fingerprint", fingerprint(dataset)),
        ("rankfield", __version__),
    ]
    return [(name, value) for name, value in facts if value]


def data_card(dataset: Tables, problems: list[Problem]) -> str:
    """Return a data set's README in Markdown, with front matter as the Hugging Face hub reads it.

    Args:
        dataset: any ranking data set.
        problems: what `validate.audit` found.
    """
    summary = summarise(dataset)
    lines = [
        "---",
        *_front_matter(dataset, summary),
        "---",
        "",
        f"# {markdown_text(dataset.name)}",
        "",
        f"A ranking data set: {summary.queries:,} queries, {summary.documents:,} documents and"
        f" {summary.judgments:,} judgments with a score ({summary.judgments_per_query:,.1f} per"
        f" judged query; {summary.never_judged:,} documents were never judged).",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {markdown_text(value)} |" for name, value in card_facts(dataset)),
        *("", "## Tables", "", "| table | column | type |", "|---|---|---|"),
        *(
            f"| {table} | {markdown_text(name)} | {markdown_text(str(dtype))} |"
            for table in ("queries", "documents", "judgments")
            for name, dtype in dataset.schema(table).items()
        ),
        *("", "## Scores", "", "| score | judgments |", "|---|---|"),
        *(
            f"| {low:.4g}{'' if low == high else f' – {high:.4g}'} | {count:,} |"
            for low, high, count in summary.scores
        ),
        *("", "## Known problems", "", *_known_problems(problems)),
    ]
    return "\n".join(lines) + "\n"


def _known_problems(problems: list[Problem]) -> list[str]:
    counts: dict[tuple[str, str, str], int] = {}
    for problem in sorted(problems, key=lambda p: p.severity):
        place = f"{problem.table}, {problem.field}" if problem.field else problem.table
        key = (problem.severity, problem.kind, place)
        counts[key] = counts.get(key, 0) + problem.count
    return [
        f"- {severity}: {markdown_text(kind)}, {markdown_text(place)}: {count:,}"
        for (severity, kind, place), count in counts.items()
    ] or ["`rankfield check` found none."]


def write_data_card(path: str | Path, dataset: Tables, problems: list[Problem]) -> None:
    """Write `data_card` into a file.

    Raises:
        OutputError: the file cannot be written.
    """
    text = data_card(dataset, problems)
    with new_file(path) as temporary:
        temporary.write_text(text, "utf-8")


def _front_matter(dataset: Tables, summary: Summary) -> Iterator[str]:
    """Yield YAML; texts are written as JSON, which YAML contains."""
    yield f"pretty_name: {yaml_value(dataset.name)}"
    licence = dataset.provenance.licence.strip()
    if licence.lower() in _LICENCES:
        yield f"license: {licence.lower()}"
    elif licence:
        yield "license: other"
        yield f"license_name: {yaml_value(licence)}"
    else:
        yield "license: unknown"
    yield "task_categories:"
    yield from ("- text-ranking", "- text-retrieval")
    size = next((name for most, name in _SIZES if summary.judgments < most), "100M<n<1B")
    yield from ("size_categories:", f"- {size}")
    yield from ("tags:", "- learning-to-rank", "- rankfield")
    modalities = {f.modality for table in ("queries", "documents") for f in dataset.fields(table)}
    yield from (f"- {modality}" for modality in sorted(modalities))
    yield "configs:"
    for table in ("documents", "judgments", "queries"):
        yield from (f"- config_name: {table}", f"  data_files: {table}.parquet")
