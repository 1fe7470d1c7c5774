"""The options that several commands have."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rankfield.engines import EngineName
from rankfield.errors import InputError
from rankfield.messages import first_line

__all__ = [
    "AllowCode",
    "Dataset",
    "Device",
    "EmbeddingPrecision",
    "EngineOption",
    "Model",
    "NewDataset",
    "Overwrite",
    "TableFile",
    "chosen_device",
    "setting_option",
]

AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Import the code that a recipe or option names (module:function, package:NAME): for "
        "what you trust. Without it they are refused.",
    ),
]
Dataset = Annotated[Path, typer.Argument(help="Data set folder.", show_default=False)]
NewDataset = Annotated[Path, typer.Argument(help="Data set folder to make.", show_default=False)]
Model = Annotated[Path, typer.Argument(help="Folder `model` of a training run.")]
Device = Annotated[
    str | None,
    typer.Option(help="Where to compute, as torch names it; default: a GPU if there is one."),
]
EmbeddingPrecision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option(
        help="How the model computes embeddings: float32; bfloat16, which rounds; auto, the faster "
        "of both on this machine."
    ),
]
EngineOption = Annotated[
    EngineName, typer.Option(help="Work on this machine's cores, or on Ray's: same result.")
]
TableFile = Annotated[
    Path | None,
    typer.Option(
        "--table",
        help="Write the figures, with intervals and marks of significance, as a table for a "
        "paper: .tex (LaTeX, booktabs) or .md (Markdown).",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output.")]


def setting_option(settings: type[Any], name: str, *flags: str) -> Any:
    """Return the option of a setting that a dataclass declares: its description is the help."""
    (declared,) = (one for one in fields(settings) if one.name == name)
    description: str = declared.metadata["description"]
    return typer.Option(*flags, help=f"{description[0].upper()}{description[1:]}.")


def chosen_device(name: str | None) -> str:
    """Return a device as torch names it; without a name a GPU if there is one.

    Raises:
        InputError: this machine has no such device.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"no such device {name!r} ({first_line(error)})", where="--device"
        ) from error
    return name
