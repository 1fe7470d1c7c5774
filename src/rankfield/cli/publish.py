"""`rankfield publish`: a model for other systems, proved in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankfield.cli.options import Overwrite
from rankfield.publishing.table import LAYOUTS
from rankfield.terminal import echo

__all__ = ["command"]


def command(
    model: Annotated[
        str,
        typer.Argument(
            help="Folder `model` of a training run, or a pretrained model.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)],
    *,
    layouts: Annotated[
        list[str],
        typer.Option(
            "--as",
            metavar="LAYOUT",
            help=f"One of {', '.join(LAYOUTS)}; repeat for more: each gets a folder in OUT.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Data set folder, whose test queries and documents prove the export."),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many test queries, and documents beside the judged ones, to prove with.",
        ),
    ] = 2000,
    text: Annotated[
        list[str] | None,
        typer.Option(help="Without --data: a text to prove with; repeat. Default: made-up texts."),
    ] = None,
    int8_loss: Annotated[
        float,
        typer.Option(min=0.0, max=0.99, help="Share of nDCG@10 that an int8 export may lose."),
    ] = 0.005,
    overwrite: Overwrite = False,
) -> None:
    """Write a model for other systems, load it there, and refuse what does not rank the same.

    Each folder has a model card, `README.md`; the fields and their weights, `fields.json`; and
    what was compared, `proof.json`. Without --data only vectors are compared, not rankings.

    Example: rankfield publish runs/gcl/model hub --as sentence-transformers --data shop-split
    """
    from rankfield.errors import InputError
    from rankfield.publishing import PublishOptions, publish
    from rankfield.validate import load_valid

    if text and data is not None:
        raise InputError("is for proofs without --data", where="--text", remedy="Leave it out.")
    dataset = None if data is None else load_valid(data)
    options = PublishOptions(
        sample=sample, texts=tuple(text or ()), int8_loss=int8_loss, overwrite=overwrite
    )
    for name, proof in publish(model, out, layouts, dataset, options=options).items():
        echo(f"{name}: {_line(proof)}")
    echo(f"Card, fields and proof are beside the files: {out}")


def _line(proof: object) -> str:
    from rankfield.publishing import Proof

    if not isinstance(proof, Proof):
        return "checked against the documented schema, not started"
    parts = [
        f"{proof.client}, {proof.queries:,} queries and {proof.documents:,} documents of "
        f"{proof.data}: cosines differ by at most {proof.largest_difference:.1g}"
    ]
    if proof.top10_overlap is not None:
        parts.append(f"the first 10 overlap by {proof.top10_overlap:.1%}")
    if proof.ndcg10 is None or proof.client_ndcg10 is None:
        parts.append("no judgments, so rankings were not measured")
    else:
        parts.append(f"nDCG@10 {proof.client_ndcg10:.4f}, by rankfield {proof.ndcg10:.4f}")
    return ", ".join(parts)
