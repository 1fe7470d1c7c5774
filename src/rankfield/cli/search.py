"""`rankfield search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    model: Annotated[Path, typer.Argument(help="Folder `model` of a training run.")],
    dataset: Annotated[Path, typer.Argument(help="The data set whose documents are searched.")],
    query: Annotated[str, typer.Argument(help="What to look for.")] = "",
    image: Annotated[Path | None, typer.Option(help="A picture to look for, alone or too.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
) -> None:
    """Search a data set's documents with a model, exactly.

    Example: rankfield search runs/gcl/model shop "red striped mug"
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from rankfield.encoders import RankingModel
    from rankfield.evaluation.retrieve import retrieve
    from rankfield.schema import RankingDataset

    data = RankingDataset.load(dataset)
    found = retrieve(RankingModel.load(model), data, query, image=image, k=k)
    texts = [field.name for field in data.document_fields if field.modality == "text"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("rank", "score"):
        table.add_column(name, justify="right")
    for name in ("doc_id", *texts):
        table.add_column(Text(name))
    # As Text, since rich would take brackets and colons in titles for markup.
    for row in found.iter_rows(named=True):
        cells = [str(row["rank"]), f"{row['similarity']:.4f}", row["doc_id"]]
        table.add_row(*(Text(cell) for cell in [*cells, *(row[name] or "" for name in texts)]))
    Console().print(table)
