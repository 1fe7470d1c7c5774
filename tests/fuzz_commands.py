"""Whole commands over files that are changed at random: labels, compare, report."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from logs_of_standards import ga4_rows, ubi_events, ubi_queries, write_bulk, write_lines
from rankfield.cli.main import app
from rankfield.evaluation import EvaluationOptions, evaluate
from ranking_shop import FakeModel, ranking_shop

__all__ = ["command_targets"]

Part = tuple[Callable[[Path], object], Callable[[Path], object], int]


def command_targets() -> dict[str, Part]:
    """Return name → what writes the good files, what reads them, and the weight."""
    return {
        "labels-csv": _labels("log.csv", lambda p: _log().write_csv(p)),
        "labels-jsonl": _labels("log.jsonl", lambda p: _log().write_ndjson(p)),
        "labels-parquet": _labels("log.parquet", lambda p: _log().write_parquet(p)),
        "labels-ga4": _labels("log.jsonl", lambda p: write_lines(p, ga4_rows())),
        "labels-ubi": _labels("ubi", _ubi),
        "labels-ubi-bulk": _labels("ubi.jsonl", _bulk),
        "results": (_results, lambda f: _run("compare", f / "a.json", f / "b.json"), 1),
        "report": (_results, _report, 1),
    }


def _labels(name: str, write: Callable[[Path], object]) -> Part:
    return (lambda f: write(f / name), lambda f: _run("labels", f / name, f / "out"), 2)


def _log() -> pl.DataFrame:
    rows = []
    for number in range(6):
        documents = "abc" if number % 2 else "bac"
        shared = {"query_id": f"q{number % 2}", "list_id": f"l{number}", "session_id": f"s{number}"}
        for place, doc in enumerate(documents, 1):
            row = shared | {"doc_id": doc, "position": place, "time": f"2026-05-0{number + 1}"}
            rows.append(row | {"event": "impression"})
            if place == 1 + number % 3:
                rows.append(row | {"event": "click"})
    return pl.DataFrame(rows)


def _ubi(folder: Path) -> None:
    folder.mkdir()
    write_lines(folder / "ubi_events.jsonl", ubi_events())
    write_lines(folder / "ubi_queries.jsonl", ubi_queries())


def _bulk(path: Path) -> None:
    write_bulk(path, "ubi_queries", ubi_queries())
    write_bulk(path, "ubi_events", ubi_events())


def _results(folder: Path) -> None:
    shop = ranking_shop().save(folder / "data")
    for name in "ab":
        results = evaluate(FakeModel(name, noise=1.0), shop, EvaluationOptions(label=name))
        results.save(folder / f"{name}.json")
        events: Sequence[dict[str, Any]] = [
            {"event": "train", "step": 1, "loss": 0.5},
            {"event": "dev", "step": 2, "ndcg@10": 0.25},
        ]
        (folder / "log.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
        (folder / "recipe.toml").write_text("[optimizer]\nsteps = 2\n")


def _report(folder: Path) -> None:
    written = ("--out", folder / "report.html", "--out", folder / "report.md")
    _run("report", folder / "a.json", folder / "b.json", "--data", folder / "data", *written)


def _run(*arguments: str | Path) -> None:
    """Run a command in this process; a failure of the system, as of a file's name, is a message."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        app([str(a) for a in arguments], standalone_mode=False)
