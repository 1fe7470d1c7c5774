"""Amazon's Shopping Queries data set (ESCI): graded pairs of queries and products in Parquet.

`shopping_queries_dataset_examples.parquet`: example_id, query, query_id, product_id,
product_locale, esci_label, small_version, large_version, split.
`shopping_queries_dataset_products.parquet`: product_id, product_title, product_description,
product_bullet_point, product_brand, product_color, product_locale.
Perhaps `shopping_queries_dataset_sources.csv`: query_id, source.
Reddy et al., arXiv 2206.06588; https://github.com/amazon-science/esci-data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from rankfield.errors import DataError
from rankfield.formats.checks import best_of_pairs, require_columns, require_known, require_values
from rankfield.formats.esci.writing import EXAMPLES, GRADES, PRODUCTS, SOURCES, TEXTS, write_esci
from rankfield.formats.fields import parse_fields
from rankfield.formats.foreign_columns import set_aside
from rankfield.formats.guesses import guess_scale, with_relevant_inside
from rankfield.formats.published_splits import part_name, split_by_queries
from rankfield.io.table import Table
from rankfield.io.tables import file_columns, read_files
from rankfield.io.text_values import text_values
from rankfield.schema import Field, Provenance, RankingDataset, ScoreScale

__all__ = ["GRADES", "looks_like_esci", "read_esci", "write_esci"]

_PAIR = ("query", "query_id", "product_id", "product_locale", "esci_label")
_FIELDS = tuple(Field(n, "text", 0.6 if n == "product_title" else 0.1) for n in TEXTS)
_RESERVED = ("seen", "subset", "split")
_PART = "\0part"


def looks_like_esci(src: Path) -> str | None:
    """Return why `src` looks like this layout, or None."""
    folder = _folder(src)
    if (folder / EXAMPLES).is_file() and (folder / PRODUCTS).is_file():
        return f"it holds {(folder / EXAMPLES).relative_to(src)}"
    return None


def read_esci(
    src: str | Path,
    *,
    name: str | None = None,
    locale: str | None = None,
    version: Literal["large", "small"] = "large",
    grades: Mapping[str, float] | None = None,
    relevant: float | None = None,
    document_fields: Sequence[Field | str] | None = None,
    judged_only: bool = False,
    held_out: float = 0.1,
    licence: str = "Apache-2.0",
) -> tuple[RankingDataset, list[str]]:
    """Read examples and products with the published split by queries; write nothing.

    Train queries are seen (in_domain), test queries are not (novel_query, subset "test"); every
    product counts as seen, since all are one corpus. The labels stay as the column `esci_label`.

    Args:
        src: the folder with the two Parquet files, or the repository with it.
        name: of the data set; the folder's name, locale and version by default.
        locale: "us", "es" or "jp"; all by default. Then a document's id is `product_id`, else
            "locale:product_id", because an id may occur in several.
        version: "small" leaves out the easy queries, as for the ranking task; "large" has all.
        grades: label → score; `GRADES` by default.
        relevant: scores from here on are relevant; the score of "E" by default.
        document_fields: each a `Field` or text "NAME[:MODALITY[:WEIGHT]]"; by default title 0.6,
            description, bullet points, brand and colour 0.1 each.
        judged_only: leave out products that no example of this locale and version judges.
        held_out: fraction of the train queries that become dev (novel_query), in [0, 1): the
            data set has no dev split of its own.
        licence: for the provenance.

    Returns:
        The data set and, one per line, what was chosen or left out.

    Raises:
        DataError: a file that is missing or broken, a missing column, an unknown label, locale or
            product, an empty text or id; with file and row.
    """
    folder = _folder(Path(src))
    scores = _scores(grades)
    if not 0 <= held_out < 1:
        raise DataError(
            f"expected a fraction from 0 to below 1, found {held_out}",
            where="held_out",
            remedy="Choose how many of the train queries become dev.",
        )
    notes = [f"scores: {', '.join(f'{label} = {score:g}' for label, score in scores.items())}"]
    examples = _read_examples(folder, locale, version, notes)
    products = _read_products(folder, locale, notes)
    one = locale is not None
    key = pl.col("product_id") if one else pl.format("{}:{}", "product_locale", "product_id")
    products = products.with_columns(doc_id=key)
    examples = examples.with_columns(doc_id=key)
    _require_distinct(products)
    require_known(examples, "doc_id", products.frame["doc_id"], f"among the products of {PRODUCTS}")
    documents = products.frame.select("doc_id", pl.exclude("doc_id", *(["product_id"] * one)))
    if judged_only:
        judged = examples.frame["doc_id"].unique().implode()
        documents = documents.filter(pl.col("doc_id").is_in(judged))
    fields = (
        parse_fields(Table.counted(folder / PRODUCTS, documents), document_fields)[0]
        if document_fields
        else tuple(f for f in _FIELDS if f.name in documents.columns)
    )
    dataset, parts = _assemble(examples, documents, scores, relevant, notes)
    dataset.name = name or "-".join(filter(None, (folder.resolve().name, locale, version)))
    dataset.document_fields = fields
    dataset.provenance = Provenance(
        source=f"{EXAMPLES}, {PRODUCTS}", licence=licence, made_by="rankfield import esci"
    )
    dataset.queries = _with_sources(folder, dataset.queries)
    return split_by_queries(dataset, parts, held_out=held_out, notes=notes), notes


def _folder(src: Path) -> Path:
    """Return the folder with the files: that of the repository, or what is in it."""
    inner = src / "shopping_queries_dataset"
    return inner if (inner / EXAMPLES).is_file() and not (src / EXAMPLES).is_file() else src


def _scores(grades: Mapping[str, float] | None) -> dict[str, float]:
    scores = dict(GRADES if grades is None else grades)
    if set(scores) != set(GRADES):
        raise DataError(
            f"expected a score for each of E, S, C, I, found {scores}",
            where="grades",
            remedy="Name all four, as E=1,S=0.1,C=0.01,I=0.",
        )
    return scores


def _read_examples(folder: Path, locale: str | None, version: str, notes: list[str]) -> Table:
    path = folder / EXAMPLES
    columns = file_columns(path)
    flag = f"{version}_version"
    require_columns(path, columns, (*_PAIR, "split", flag))
    table = set_aside(read_files([path]), ("doc_id", "score"), "judgments", notes)
    require_values(table, *_PAIR)
    labels = pl.Series(_PAIR[-1], list(GRADES))
    require_known(table, "esci_label", labels, "one of the labels E, S, C, I")
    texts = [text_values(table.frame, name, table.where) for name in _PAIR]
    table = table.with_columns(*texts)
    locales = ", ".join(map(str, table.frame["product_locale"].unique().sort()))
    table = table.filter(pl.col(flag).cast(pl.Float64, strict=False) == 1)
    if locale is not None:
        table = table.filter(pl.col("product_locale") == locale)
    if table.frame.is_empty():
        raise DataError(
            f"no example of the locale {locale or 'any'} is in the {version} version",
            where=str(path),
            remedy=f"Choose another version, or one of the locales {locales}.",
        )
    return table


def _read_products(folder: Path, locale: str | None, notes: list[str]) -> Table:
    path = folder / PRODUCTS
    columns = file_columns(path)
    require_columns(path, columns, ("product_id", "product_title", "product_locale"))
    table = read_files([path])
    texts = ("product_id", "product_locale", *TEXTS)
    frame = table.frame.with_columns(
        text_values(table.frame, c, table.where) for c in texts if c in columns
    )
    table = set_aside(table.with_frame(frame), (*_RESERVED, "doc_id"), "documents", notes)
    if locale is not None:
        table = table.filter(pl.col("product_locale") == locale)
    require_values(table, "product_id", "product_locale")
    return table


def _require_distinct(products: Table) -> None:
    twice = ~products.frame["doc_id"].is_first_distinct()
    if twice.any():
        row = int(twice.arg_max() or 0)
        raise DataError(
            f"the product {products.frame['doc_id'][row]!r} occurs more than once",
            where=products.where(row, "product_id"),
            remedy="Keep one of them.",
        )


def _assemble(
    examples: Table,
    documents: pl.DataFrame,
    scores: Mapping[str, float],
    relevant: float | None,
    notes: list[str],
) -> tuple[RankingDataset, pl.DataFrame]:
    """Return the data set without splits, and the part of each judgment."""
    _require_one_text(examples)
    frame = examples.frame
    parts = {value: part_name(value) for value in frame["split"].cast(pl.String).unique() if value}
    frame = frame.with_columns(
        pl.col("split").cast(pl.String).replace(parts).alias(_PART),
        score=pl.col("esci_label").replace_strict(dict(scores), return_dtype=pl.Float64),
    )
    frame = best_of_pairs(frame, notes)
    queries = frame.select("query_id", "query", locale="product_locale")
    used = {"query_id", "query", "product_id", "product_locale", "doc_id", "score", _PART}
    kept = [c for c in frame.columns if c not in used and c != "split"]
    dataset = RankingDataset(
        name="esci",
        query_fields=(Field("query", "text"),),
        document_fields=(),
        score_scale=_scale(scores, relevant),
        queries=queries.unique("query_id", keep="first", maintain_order=True),
        documents=documents,
        judgments=frame.select("query_id", "doc_id", "score", *kept),
    )
    return dataset, frame.select("query_id", "doc_id", part=_PART)


def _scale(scores: Mapping[str, float], relevant: float | None) -> ScoreScale:
    meaning = "ESCI label: " + ", ".join(f"{label} {score:g}" for label, score in scores.items())
    limit = scores["E"] if relevant is None else relevant
    guessed = guess_scale(pl.Series(scores.values()))
    low, high = min(scores.values()), max(scores.values())
    scale = ScoreScale(low, high, limit, meaning, gain_floor=guessed.gain_floor)
    return with_relevant_inside(scale)


def _require_one_text(examples: Table) -> None:
    frame = examples.frame
    texts = frame.select("query_id", "query").unique()
    if texts["query_id"].n_unique() == texts.height:
        return
    other = frame.select(pl.col("query") != pl.col("query").first().over("query_id")).to_series()
    row = int(other.arg_max() or 0)
    raise DataError(
        f"the query_id {frame['query_id'][row]!r} stands for another text in an earlier row",
        where=examples.where(row, "query_id"),
        remedy="Give each query an id of its own.",
    )


def _with_sources(folder: Path, queries: pl.DataFrame) -> pl.DataFrame:
    path = folder / SOURCES
    if not path.is_file():
        return queries
    require_columns(path, file_columns(path), ("query_id", "source"))
    table = read_files([path], ["query_id", "source"])
    sources = table.frame.unique("query_id", keep="first", maintain_order=True)
    return queries.join(sources, on="query_id", how="left", maintain_order="left")
