"""`rankfield embed`: the vectors of records, with their ids, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rankfield.cli.opening import AnyModel, Opening, opens_a_model
from rankfield.cli.options import Device, Overwrite, chosen_device
from rankfield.terminal import echo

__all__ = ["command"]


@opens_a_model
def command(
    model: AnyModel,
    table: Annotated[
        Path,
        typer.Argument(
            help="A data set's folder, or a table of records with ids: .parquet, .csv, .tsv, "
            ".jsonl.",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The file to write: .parquet; .npy, with ids in NAME.ids.json; .jsonl, bulk "
            "requests for OpenSearch and Elasticsearch.",
        ),
    ],
    side: Annotated[
        Literal["document", "query"],
        typer.Option(help="What the records are: whose fields and prefix of the model count."),
    ] = "document",
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="Column of a table's ids. Default: the one that is called like one.",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Write this column too (.parquet, .jsonl); repeat for more."
        ),
    ] = None,
    action: Annotated[
        Literal["index", "update"],
        typer.Option(
            help="Of .jsonl: index puts whole documents, update adds the vector to those that are "
            "there."
        ),
    ] = "index",
    dimension: Annotated[
        int | None,
        typer.Option(min=1, help="Cut the embeddings to this many dimensions; default: all."),
    ] = None,
    device: Device = None,
    overwrite: Overwrite = False,
    opening: Opening,
) -> None:
    """Embed records and write their ids and unit vectors.

    An interrupted run goes on where it stopped. Records with none of the model's fields have no
    vector and are left out.

    Example: rankfield embed runs/gcl/model catalogue.jsonl --out vectors.parquet
    """
    from rankfield.embedding import Records, embed_records
    from rankfield.embedding.embed import check_output

    columns = column or []
    check_output(out, columns, action, overwrite=overwrite)
    records = Records.open(table, side, id_column=id_column)
    opened = opening.open(model, records.dataset, chosen_device(device))
    if dimension is not None:
        opened.model.truncate_to(dimension)
    done = embed_records(
        opened.model,
        opened.fingerprint,
        records,
        out,
        columns=columns,
        action=action,
        overwrite=overwrite,
    )
    if done.without_vector:
        echo(f"note: {done.without_vector:,} records have none of the model's fields: left out")
    what = {"document": "documents", "query": "queries"}[side]
    echo(f"{done.rows:,} {what} in {done.dimension} dimensions: {out}")
