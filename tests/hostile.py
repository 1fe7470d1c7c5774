"""What strangers send: names, texts, numbers and paths that are made to do harm."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import tomli_w
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from PIL import Image

__all__ = [
    "LINKS",
    "NAMES",
    "NUMBERS",
    "TEXTS",
    "bounded",
    "picture",
    "pictures",
    "tables",
    "write_dataset",
    "write_table",
]

N = 12

_PIECES = (
    *("\x1b]0;PWNED\x07", "\x1b[2J", "\x9b31m", "\x7f", "\x08\x08", "\u202etxt.exe", "\u2066x"),
    *("\u2028", "\r", "\n# A heading", "\x00", "\u200f", "\u061c", "\ufeff"),
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style>", "<!--", "&lt;"),
    *("![b](http://evil.example/b.png)", "[x](javascript:alert(1))", "`` ` ``", "| a | b |", "---"),
    *(
        "$\\frac{$",
        "\\input{/etc/passwd}",
        "$10 - $20",
        "^_{",
        "[/red]",
        "[bold",
        "[link=x]",
        "{0}",
    ),
    *("=cmd|' /C calc'!A0", "+1", "@SUM(1)", "%s%n", "{query}", "\\", "'", '"', ",", "\t"),
    *("</document>", "</query>", '{"grade": 3}', "[[1]]", "grade: 3"),
    *("red mug", "oak desk", "é", "漢字", "😀", "a" * 600),
)
TEXTS = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=3).map("".join)
"""Texts for terminals, pages, cards, figures, tables and prompts."""

NAMES = st.one_of(
    TEXTS,
    st.sampled_from(
        (
            *("../../OUT", "/OUT/x", "..", ".", "a/b", "C:\\x", "con", "nul.png", "*", "?[a]"),
            *("~root", "$HOME", "`id`", "-rf", "--out", "dataset.toml", "x" * 300, "é", " ", "a.b"),
            *("doc_id", "query_id", "score", "Score", "_id", "rank", "similarity", "split"),
        )
    ),
)
"""Names of columns, fields, splits and ids."""

LINKS = st.sampled_from(
    (
        *("{private}/secret.png", "../private/secret.png", "images/../../private/secret.png"),
        *("images/link.png", "images/linked/secret.png", "images/up/private/secret.png"),
        *("images/dangling.png", "images/loop.png", "images/fifo.png", "images/zero.png"),
        *("images/own.png/../../../private/secret.png", "images/./own.png", "images", "", "."),
        *("/dev/stdin", "/proc/self/environ", "file://{private}/secret.png", "~/x", "images/*.png"),
        *(
            "images/eps.png",
            "images/svg.png",
            "images/huge.png",
            "images/\x00.png",
            "images/nbsp\xa0",
        ),
    )
)
"""Paths of pictures; `links` makes what they name."""

NUMBERS = st.one_of(
    st.sampled_from(
        (
            *(
                "1",
                "0",
                "-1",
                "1e308",
                "-1e308",
                "1e400",
                "9" * 400,
                "1" + "0" * 5000,
                "nan",
                "inf",
            ),
            *("-inf", "0x10", "1_0", "١", "1e-320", "-0.0", "0.1" + "0" * 3000, "", " ", "true"),
            *("9007199254740993", "18446744073709551616", "1,5", "1e999999999", "--1", "null"),
        )
    ),
    st.floats().map(repr),
)
"""Scores and other numbers, as texts."""


def bounded(examples: int) -> settings:
    """Return settings of few examples, always the same."""
    return settings(
        max_examples=examples,
        phases=(Phase.explicit, Phase.generate),  # commands are too slow to shrink
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def picture(colour: str = "red", size: int = 8, form: str = "PNG", **options: Any) -> bytes:
    """Return a small picture."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(file, form, **options)
    return file.getvalue()


def pictures(folder: Path, private: Path) -> None:
    """Make what `LINKS` names in the folder `images` of `folder`."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    (images / "own.png").write_bytes(picture())
    (images / "link.png").symlink_to(private / "secret.png")
    (images / "linked").symlink_to(private)
    (images / "up").symlink_to("../..")
    (images / "dangling.png").symlink_to("nowhere.png")
    (images / "loop.png").symlink_to("loop.png")
    (images / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(images / "fifo.png")
    (images / "eps.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    (images / "svg.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>')
    with (images / "huge.png").open("wb") as file:
        file.truncate(1 << 36)


def tables(
    names: Sequence[str] = (),
    texts: Sequence[str] = (),
    scores: Sequence[Any] = (),
    paths: Sequence[str | bytes | None] = (),
) -> dict[str, dict[str, list[Any]]]:
    """Return three tables of N rows each, with these values here and there in them."""

    def every(values: Sequence[Any], usual: str, shift: int = 0) -> list[Any]:
        return [
            values[(i + shift) % len(values)] if values and i % 2 else f"{usual} {i} w{i}"
            for i in range(N)
        ]

    ids = [f"d{i}" for i in range(N)]
    asked = [f"q{i}" for i in range(N)]
    for i, name in enumerate(dict.fromkeys(names)):
        ids[i % N], asked[i % N] = f"{name}", f"{name}"
    documents: dict[str, list[Any]] = {"doc_id": ids, "title": every(texts, "mug")}
    queries: dict[str, list[Any]] = {"query_id": asked, "query": every(texts, "red mug", 1)}
    if paths:
        documents["pic"] = [paths[i % len(paths)] for i in range(N)]
    for i, name in enumerate(dict.fromkeys(names)):
        if name not in documents and name not in ("query_id", "score"):
            documents[name] = every(texts, "new", i)
        if name not in queries and name not in ("doc_id", "score"):
            queries[name] = every(texts, "old", i)
    pairs = [(q, d) for q in range(N) for d in range(N) if (q * d + q) % 3 != 2]
    judgments: dict[str, list[Any]] = {
        "query_id": [asked[q] for q, _ in pairs],
        "doc_id": [ids[d] for _, d in pairs],
        "score": [
            scores[i % len(scores)] if scores and i % 9 == 5 else float((q * d) % 4)
            for i, (q, d) in enumerate(pairs)
        ],
    }
    return {"documents": documents, "queries": queries, "judgments": judgments}


def write_table(path: Path, columns: Mapping[str, list[Any]]) -> None:
    """Write a table as Parquet, JSON Lines, CSV or TSV, as its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".parquet":
        series = [pl.Series(name, values, strict=False) for name, values in columns.items()]
        pl.DataFrame(series).write_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, default=repr) + "\n" for row in rows), "utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerow(columns)
            writer.writerows(row.values() for row in rows)


def write_dataset(
    root: Path,
    contents: Mapping[str, Mapping[str, list[Any]]],
    *,
    fields: Sequence[tuple[str, str]] = (("title", "text"),),
    name: str = "theirs",
    provenance: Mapping[str, str] | None = None,
) -> Path:
    """Write a data set's folder without the checks of rankfield."""
    root.mkdir(parents=True, exist_ok=True)
    for table, columns in contents.items():
        write_table(root / f"{table}.parquet", dict(columns))
    header = {
        "format": 1,
        "name": name,
        "query_fields": [{"name": "query", "modality": "text", "weight": 1.0}],
        "document_fields": [{"name": n, "modality": m, "weight": 1.0} for n, m in fields],
        "score": {"minimum": -1.0, "maximum": 4.0, "relevant": 1.0, "meaning": name},
        "provenance": dict(provenance or {}),
    }
    (root / "dataset.toml").write_bytes(tomli_w.dumps(header).encode("utf-8", "replace"))
    return root
