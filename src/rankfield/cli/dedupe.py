"""`rankfield dedupe`: one record for all that are the same, exactly or nearly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rankfield.cli.options import Dataset, EngineOption, NewDataset
from rankfield.errors import InputError
from rankfield.terminal import console, echo

if TYPE_CHECKING:
    from rankfield.curation.criteria import Criterion
    from rankfield.curation.dedupe import Duplicates
    from rankfield.engines import Engine
    from rankfield.schema import DatasetFolder

__all__ = ["command"]


def command(
    dataset: Dataset,
    out: NewDataset,
    *,
    documents: Annotated[bool, typer.Option(help="Merge documents.")] = True,
    queries: Annotated[bool, typer.Option(help="Merge queries.")] = True,
    images: Annotated[
        bool, typer.Option("--images", help="Images must be equal too, byte for byte.")
    ] = False,
    near: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LIMIT",
            help="Merge near duplicates among the documents: text=0.8 (Jaccard), photo=6 (bits),"
            " embedding=0.95 (cosine), words. Several must all hold.",
        ),
    ] = None,
    near_queries: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LIMIT", help="The same among the queries."),
    ] = None,
    link: Annotated[
        Literal["single", "complete"],
        typer.Option(help="Near duplicates of near duplicates too, or only if all are alike."),
    ] = "single",
    shingles: Annotated[
        str,
        typer.Option(metavar="UNIT:N", help="What of texts is compared: characters:N, words:N."),
    ] = "characters:4",
    model: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The model of embedding=LIMIT.", show_default=False),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            metavar="NPY", help="Or embeddings of the documents, a row each.", show_default=False
        ),
    ] = None,
    scores: Annotated[
        Literal["max", "mean", "first"],
        typer.Option(help="What becomes of several scores of one pair."),
    ] = "max",
    as_group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Drop nothing: write which documents are the same, for"
            " `rankfield split --group-documents-by COLUMN`.",
        ),
    ] = None,
    engine: EngineOption = "local",
) -> None:
    """Merge documents, and queries, that are the same, with their judgments.

    The same are records whose text fields are equal apart from case, punctuation and blanks, or
    with --near those alike. The one with the smallest id stays.

    Example: rankfield dedupe shop shop-unique --near title=0.8 --near image=6
    """

    from rankfield.curation import dedupe, group_duplicates
    from rankfield.engines import make_engine
    from rankfield.outputs import require_new
    from rankfield.schema import DatasetFolder

    require_new(out)
    tables = [t for t, wanted in (("queries", queries), ("documents", documents)) if wanted]
    rules = {"queries": near_queries or [], "documents": near or []}
    _require_sense(tables, rules, images, as_group)
    if as_group is not None:
        # without rules for queries, documents are grouped, as ever
        tables = ["queries" if near_queries else "documents"]
    data = DatasetFolder.load(dataset)
    work = make_engine(engine)
    vectors = _Vectors(data, model, embeddings)
    alike = {
        table: _criteria(data, table, rules[table], shingles, vectors, engine=work)
        for table in tables
    }
    how: dict[str, Any] = {"images": images, "link": link, "engine": work}
    if as_group is None:
        done, report = dedupe(data, tables=tables, near=alike, scores=scores, **how)
    else:
        (table,) = tables
        done, report = group_duplicates(data, as_group, table=table, near=alike[table], **how)
    done.save(out)
    console().print(report)
    for one in report.found:
        if one.how != "exact":
            for line in _examples(data, one):
                echo(f"- {line}")
    echo(f"wrote {out}")


def _examples(data: DatasetFolder, found: Duplicates) -> Iterator[str]:
    """Yield what a few near duplicates say, so that the limit can be judged."""
    import polars as pl

    from rankfield.curation.clusters import IDS
    from rankfield.curation.texts import joined_text

    identity, fields = IDS[found.table], data.fields(found.table)
    wanted = pl.Series(sorted({name for pair in found.examples for name in pair}))
    columns = dict.fromkeys([identity, *(f.name for f in fields if f.modality == "text")])
    rows = data.lazy(found.table).select(*columns)
    shown = rows.filter(pl.col(identity).is_in(wanted.implode())).collect(engine="streaming")
    texts = dict(zip(shown[identity], joined_text(shown, fields), strict=True))
    for stays, goes in found.examples:
        yield f"{stays}: {texts[stays]} · {goes}: {texts[goes]}"


def _require_sense(
    tables: list[str], rules: dict[str, list[str]], images: bool, as_group: str | None
) -> None:
    if not tables:
        raise InputError("neither queries nor documents are to be merged: nothing to do")
    for table, wanted in rules.items():
        if wanted and table not in tables:
            raise InputError(f"rules for near duplicates among {table}, which are not merged")
    if as_group is not None and all(rules.values()):
        raise InputError("--as-group groups documents or queries: give --near or --near-queries")
    if images and any(rules.values()):
        raise InputError(
            "--images is for exact duplicates",
            remedy="With --near, name the image field and the bits: --near photo=0.",
        )


def _criteria(
    data: DatasetFolder,
    table: str,
    rules: list[str],
    shingles: str,
    vectors: _Vectors,
    *,
    engine: Engine,
) -> list[Criterion]:
    from rankfield.curation import NearRule, Shingles, make_criteria

    parsed = [NearRule.parse(rule) for rule in rules]
    by_vectors = any(rule.name == "embedding" for rule in parsed)
    return make_criteria(
        data,
        table,
        parsed,
        shingles=Shingles.parse(shingles),
        embeddings=vectors.of(table) if by_vectors else None,
        engine=engine,
    )


@dataclass(frozen=True)
class _Vectors:
    """Where embeddings come from: a model, a file of those of the documents, or nowhere."""

    data: DatasetFolder
    model: Path | None
    file: Path | None

    def of(self, table: str) -> Any:
        """Return a table's embeddings, or None."""
        if self.model is not None and self.file is not None:
            raise InputError("give --model or --embeddings, not both")
        if self.file is not None:
            if table == "queries":
                raise InputError(
                    "--embeddings are those of the documents", remedy="For queries, give --model."
                )
            from rankfield.io.matrix import map_matrix

            return map_matrix(self.file)
        if self.model is None:
            return None
        from rankfield.encoders import RankingModel

        model = RankingModel.load(self.model)
        embed = model.embed_queries if table == "queries" else model.embed_documents
        return embed(self.data.read())
