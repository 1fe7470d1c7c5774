"""`rankfield judge`: a language model or a cross-encoder grades pairs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankfield.cli.options import Device, chosen_device
from rankfield.errors import InputError
from rankfield.terminal import echo

if TYPE_CHECKING:
    import polars as pl

    from rankfield.judging import JudgeSettings, Rubric
    from rankfield.schema import RankingDataset
    from rankfield.web.chat import ChatEndpoint

__all__ = ["Aggregate", "command"]


class Aggregate(StrEnum):
    """What makes a score of several votes."""

    MEAN = "mean"
    MEDIAN = "median"
    MAJORITY = "majority"


# Long by its options, each of which it hands on.
def command(
    dataset: Annotated[
        Path | None, typer.Argument(help="Data set folder.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Argument(help="Folder to make.", show_default=False)] = None,
    *,
    rubric: Annotated[Path | None, typer.Option(help="TOML file with the grades.")] = None,
    example_rubric: Annotated[
        bool, typer.Option("--example-rubric", help="Print a rubric and stop.")
    ] = False,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="OpenAI-compatible, as https://host/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model there.")] = None,
    key_env: Annotated[
        str, typer.Option(metavar="NAME", help="Environment variable with the key.")
    ] = "",
    cross_encoder: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A cross-encoder in place of a language model."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Table of query_id, doc_id; default: all judged pairs."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take the best unjudged documents of an evaluation."),
    ] = None,
    per_query: Annotated[
        int | None, typer.Option(min=1, help="Take so many pairs of each query.")
    ] = None,
    votes: Annotated[int, typer.Option(min=1, help="Votes of each pair.")] = 3,
    aggregate: Annotated[Aggregate, typer.Option(help="How votes become a score.")] = (
        Aggregate.MEAN
    ),
    human: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Compare with these scores; 'dataset': with the data set's own."
        ),
    ] = None,
    image_side: Annotated[
        int, typer.Option(min=0, help="Pixels of an image's longer side; 0: no images.")
    ] = 512,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Of sampling; default: the endpoint's.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Of one answer.")] = None,
    send_seed: Annotated[
        bool, typer.Option("--send-seed/--no-seed", help="Send a seed with each vote.")
    ] = True,
    extra: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A further key of each request; repeat."),
    ] = None,
    price_in: Annotated[float, typer.Option(min=0, help="Of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="Of a million answer tokens.")] = 0.0,
    photo_tokens: Annotated[int, typer.Option(min=0, help="What an image counts.")] = 255,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Stop before more than this is spent.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the estimate and one prompt; ask nothing.")
    ] = False,
    requests_per_second: Annotated[
        float, typer.Option(min=0.001, help="Requests to the endpoint.")
    ] = 5.0,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at one time.")] = 8,
    skip_failed: Annotated[
        bool, typer.Option("--skip-failed", help="Do without votes that failed.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs of a cross-encoder's batch.")] = 32,
    device: Device = None,
    seed: Annotated[int, typer.Option(help="Of votes, and of --per-query's sample.")] = 0,
) -> None:
    """Grade pairs with a language model or a cross-encoder, and compare with people's grades.

    The scores in OUT/judgments.parquet are further judgments to train on. Every answer is kept in
    OUT.partial when it is complete: the same command goes on where a killed run stopped.

    Example: rankfield judge shop judged --rubric rubric.toml --endpoint http://localhost:8000/v1
    --model qwen --votes 3 --human dataset
    """
    from rankfield.judging import JudgeSettings, choose_pairs, judge, load_rubric, score_pairs
    from rankfield.judging.cost import Prices
    from rankfield.validate import load_valid
    from rankfield.web import Limits

    if example_rubric:
        return _print_rubric()
    if dataset is None or out is None:
        raise InputError("expected a data set and an output folder", where="rankfield judge")
    settings = JudgeSettings(
        votes=votes, aggregate=aggregate.value, image_side=image_side, seed=seed,
        prices=Prices(price_in, price_out, photo_tokens), max_cost=max_cost,
    )  # fmt: skip
    asked = _endpoint(
        {"--rubric": rubric, "--endpoint": endpoint, "--model": model},
        cross_encoder=cross_encoder, dry_run=dry_run, key_env=key_env, extra=_extra(extra or []),
        temperature=temperature, max_tokens=max_tokens, send_seed=send_seed,
    )  # fmt: skip
    data = load_valid(dataset)
    people = _scores_of_people(data, human)
    chosen = choose_pairs(data, file=pairs, results=results, per_query=per_query, seed=seed)
    if asked is None:
        record = score_pairs(
            data, chosen, str(cross_encoder), out,
            batch_size=batch_size, device=chosen_device(device), human=people, report=_note,
        )  # fmt: skip
        return _show(record, out)
    grades = load_rubric(rubric or Path())
    if dry_run:
        return _dry_run(data, chosen, grades, settings)
    limits = Limits(
        requests_per_second=requests_per_second, burst=concurrency, concurrency=concurrency
    )
    record = judge(
        data, chosen, grades, asked, out,
        settings=settings, limits=limits, human=people, skip_failed=skip_failed, report=_note,
    )  # fmt: skip
    return _show(record, out)


def _print_rubric() -> None:
    from rankfield.judging.rubric import RUBRIC_TEMPLATE

    echo(RUBRIC_TEMPLATE, nl=False)


def _note(text: str) -> None:
    echo(f"- {text}")


def _refuse_others(given: dict[str, Any]) -> None:
    """Raise if an option that only a language model has is given with a cross-encoder."""
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"expected a cross-encoder or a language model, found --cross-encoder and {name}",
                where="rankfield judge",
            )


def _extra(pairs: list[str]) -> dict[str, Any]:
    """Return KEY=VALUE pairs by key; a value is TOML, or else a text."""
    from rankfield.settings import toml_value

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise InputError(f"expected KEY=VALUE, found {pair!r}", where="--extra")
        found[key.strip()] = toml_value(text)
    return found


def _endpoint(
    required: dict[str, Any], *, cross_encoder: str | None, dry_run: bool, **more: Any
) -> ChatEndpoint | None:
    """Return the language model that is asked; None where a cross-encoder takes its place."""
    from rankfield.settings import check_settings
    from rankfield.web.chat import ChatEndpoint

    if cross_encoder is not None:
        given = {name: required[name] for name in ("--rubric", "--endpoint")}
        _refuse_others({**given, "--dry-run": dry_run or None})
        return None
    for name, value in required.items():
        if value is None:
            raise InputError(
                f"expected {name}",
                where="rankfield judge",
                remedy="A language model needs --rubric, --endpoint and --model; or take"
                " --cross-encoder.",
            )
    values = {"url": required["--endpoint"], "model": required["--model"], **more}
    return check_settings(values, ChatEndpoint, where="rankfield judge")


def _scores_of_people(data: RankingDataset, human: str | None) -> pl.DataFrame | None:
    from rankfield.judging.pairs import read_scores

    if human is None:
        return None
    if human == "dataset":
        return data.judgments.select("query_id", "doc_id", "score")
    return read_scores(data, Path(human))


def _dry_run(
    data: RankingDataset, pairs: pl.DataFrame, rubric: Rubric, settings: JudgeSettings
) -> None:
    from rankfield.judging.cost import estimate_cost
    from rankfield.judging.prompt import PairPrompts

    prompts = PairPrompts(data, rubric, image_side=settings.image_side)
    for message in prompts.messages(*pairs.select("query_id", "doc_id").row(0)):
        echo(f"[{message['role']}]")
        content = message["content"]
        parts: list[Any] = [{"text": content}] if isinstance(content, str) else content
        for part in parts:
            image = part.get("image_url", {}).get("url", "")
            echo(part.get("text") or f"(image, {len(image):,} characters)")
    estimate = estimate_cost(prompts, pairs, settings.votes, settings.prices)
    echo(f"{pairs.height:,} pairs; estimate: {estimate}")


def _show(record: dict[str, Any], out: Path) -> None:
    echo(f"{out}: {record['judged']:,} of {record['pairs']:,} pairs judged")
    if "cost" in record:
        cost = record["cost"]
        echo(
            f"cost: {cost['requests']:,} answers, {cost['prompt_tokens']:,} tokens in,"
            f" {cost['completion_tokens']:,} out, {cost['price']:,.2f}"
        )
        echo(f"agreement of the votes: {_figures(record['agreement_of_votes'])}")
    if record["agreement_with_human"] is not None:
        echo(f"agreement with people: {_figures(record['agreement_with_human'])}")


def _figures(found: dict[str, Any]) -> str:
    shown = []
    for name, value in found.items():
        if isinstance(value, list):
            continue
        text = "undefined" if value is None else f"{value:.3f}" if name != "pairs" else f"{value:,}"
        shown.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(shown)
