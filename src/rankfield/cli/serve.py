"""`rankfield serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankfield.cli.options import Device
from rankfield.errors import InputError
from rankfield.extras import needs_extra

__all__ = ["command"]


def command(
    indexes: Annotated[
        list[str],
        typer.Argument(
            metavar="INDEX...",
            help="Indexes of `rankfield index`: FOLDER, or NAME=FOLDER; requests name them.",
            show_default=False,
        ),
    ],
    *,
    host: Annotated[
        str, typer.Option(help="Where to listen; other machines reach only what is not loopback.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free port.")
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A further name in the Host header of requests, as behind a proxy; repeat.",
            show_default=False,
        ),
    ] = None,
    allow_open: Annotated[
        bool,
        typer.Option("--allow-open", help="Let other machines read and write without a key."),
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option(
            help='TOML file of API keys: read = ["…"], write = ["…"]. Also: the variables '
            "RANKFIELD_READ_KEYS and RANKFIELD_WRITE_KEYS.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FOLDER",
            help="The model of an index; default: where it was when the index was built.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder for judgments and events that clients send; default: none are taken.",
            show_default=False,
        ),
    ] = None,
    record_queries: Annotated[
        bool,
        typer.Option(
            "--record-queries", help="Keep texts and results of searches in --data, as UBI queries."
        ),
    ] = False,
    open_page: Annotated[
        bool, typer.Option("--open", help="Show the search page in this machine's browser.")
    ] = False,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Queries to grade: a table with the column query, and perhaps query_id; default: "
            "those of the data set that an index was built of.",
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request's body.")] = 16 << 20,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Pixels of the images in one request.")
    ] = 16_000_000,
    max_results: Annotated[
        int, typer.Option(min=1, help="How far down the pages of a query reach, and its window.")
    ] = 10_000,
    queue: Annotated[
        int, typer.Option(min=1, help="Requests in progress; further ones are refused with 429.")
    ] = 256,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds until a search is given up.")
    ] = 30.0,
) -> None:
    """Serve indexes over HTTP: search, documents, embeddings, judgments, events.

    Everything is loaded before it listens. It stops at SIGINT or SIGTERM, when what it accepted is
    answered. Logs are JSON Lines on standard error, without what is searched for.

    Example: rankfield serve shop-index --open

    Example: rankfield serve shop=shop-index books=books-index --keys keys.toml --data feedback
    """
    with needs_extra("serve", "fastapi or uvicorn is not installed", "rankfield serve"):
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    from rankfield.cli.options import chosen_device
    from rankfield.serving import Keys, Limits, Service, check_host, serve
    from rankfield.serving.served_index import named_folders

    folders = named_folders(indexes)
    known = Keys.read(keys)
    check_host(host, bool(known), allow_open)
    service = Service(
        folders,
        models=_models(model or [], folders),
        device=chosen_device(device),
        data=data,
        record_queries=record_queries,
        queries=queries,
        keys=known,
        limits=Limits(
            body=max_body, pixels=max_pixels, results=max_results, queue=queue, timeout=timeout
        ),
    )
    serve(service, host=host, port=port, hosts=allow_host or (), open_page=open_page)


def _models(words: list[str], folders: dict[str, Path]) -> dict[str, Path]:
    """Return name of an index → folder of its model."""
    found: dict[str, Path] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not equals and len(folders) == 1:
            name, place = next(iter(folders)), word
        if name not in folders or not place:
            raise InputError(
                f"expected NAME=FOLDER with a name of {', '.join(folders)}, found {word!r}",
                where="--model",
            )
        found[name] = Path(place)
    return found
