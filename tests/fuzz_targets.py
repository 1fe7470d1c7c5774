"""What is fuzzed: for each reader and decoder a folder of good files, and what reads it."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from format_miniatures import MINIATURES, Miniature
from fuzz_commands import command_targets
from fuzz_runs import run_targets
from miniatures_of_layouts import esci, marqo_archive, marqo_parquet
from rankfield.collect.categories import read_categories
from rankfield.collect.job import example_job, load_job
from rankfield.collect.queries import read_queries
from rankfield.files import read_json
from rankfield.formats import guess_layout
from rankfield.formats.hugging_face.writing import write_saved_dataset
from rankfield.formats.rankings import read_judged_pairs, read_ranked_pairs
from rankfield.formats.registry import LAYOUTS
from rankfield.images import FORMATS, image_head, image_notes
from rankfield.io.arrow import arrow_batches
from rankfield.io.tables import stage_table
from rankfield.judging.rubric import RUBRIC_TEMPLATE, load_rubric
from rankfield.labels.propensities import read_propensities
from rankfield.query import Query
from rankfield.query.filters import filter_mask
from rankfield.schema import DatasetFolder, RankingDataset
from rankfield.serving import latest_judgments
from rankfield.serving.query_file import read_query_file
from rankfield.training.recipe import load_recipe
from rankfield.training.template import recipe_text
from rankfield.unicode_text import decode_utf8
from rankfield.validate import audit
from ranking_shop import ranking_shop
from training_data import tiny_shop

__all__ = ["Target", "targets"]

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Target:
    """A reader, and how its good files are made.

    make: writes the good files into a new folder; one of them is changed for each mutant.
    read: reads the folder.
    weight: how many mutants it gets for each mutant of the slowest targets.
    """

    make: Read
    read: Read
    weight: int = 12


def targets() -> dict[str, Target]:
    """Return every target by its name; nothing is written yet."""
    found = _layouts() | _exports() | _files()
    for name, (make, read, weight) in (run_targets() | command_targets()).items():
        found[name] = Target(make, read, weight)
    return found


def _layouts() -> dict[str, Target]:
    found: dict[str, Target] = {"dataset": Target(_save_shop, _read_dataset, 6)}
    for name, (layout, write, options) in MINIATURES.items():
        found[f"layout-{name}"] = _written(layout, write, options)
    found["layout-marqo-gs"] = _written("marqo-gs", marqo_archive, {})
    found["layout-marqo-gs-parquet"] = _written("marqo-gs-parquet", marqo_parquet, {})
    found["layout-esci"] = _written("esci", esci, {})
    return found


def _written(layout: str, write: Miniature, options: dict[str, str]) -> Target:
    """Return a target of files that are written by hand, with the file or folder to import."""
    # the function that writes them tells where it did
    places: list[Path] = []

    def make(folder: Path) -> None:
        places.append(write(folder / "in").relative_to(folder))

    def read(folder: Path) -> None:
        files = {key: folder / "in" / value for key, value in options.items()}
        _read_layout(layout, folder / places[0], files)

    return Target(make, read, 6)


def _exports() -> dict[str, Target]:
    return {f"export-{name}": _exported(name, shop) for name, shop in _EXPORTED.items()}


def _exported(name: str, shop: Callable[[Path], RankingDataset]) -> Target:
    """Return a target of files that rankfield writes in a layout."""

    def make(folder: Path) -> None:
        LAYOUTS[name].write(shop(folder / "shop"), folder / "out")
        shutil.rmtree(folder / "shop", ignore_errors=True)

    return Target(make, lambda f: _read_layout(name, f / "out", {}), 6)


def _words(_: Path) -> RankingDataset:
    return ranking_shop()


_EXPORTED: dict[str, Callable[[Path], RankingDataset]] = {
    "tables": _words,
    "trec": _words,
    "beir": _words,
    "wands": _words,
    "marqo-gs": tiny_shop,
    "marqo-gs-parquet": tiny_shop,
    "huggingface": tiny_shop,
    "sentence-transformers": _words,
    "esci": _words,
}
"""Layout → what writes the data set that is exported; the others' miniatures are files alone."""


def _files() -> dict[str, Target]:
    table = pl.DataFrame({"doc_id": [f"d{i}" for i in range(50)], "x": [1.5, None] * 25})
    stored = io.BytesIO()
    table.write_parquet(stored)
    ranked = table.with_columns(query_id=pl.lit("q"), score=pl.int_range(50)).drop("x")
    lists, pairs = io.BytesIO(), json.dumps({"q": {f"d{i}": i / 4 for i in range(9)}}).encode()
    ranked.write_parquet(lists)
    texts = io.BytesIO()
    pl.DataFrame({"query_id": [1, 2], "query": ["red mug", "cup"]}).write_parquet(texts)
    return {
        "gzip": _file(
            "a.csv.gz",
            gzip.compress(table.write_csv().encode()),
            lambda p: stage_table(p, p.parent).lazy().collect(),
        ),
        "parquet": _file("a.parquet", stored.getvalue(), lambda p: list(arrow_batches(p))),
        "arrow": Target(_save_arrow, lambda f: list(arrow_batches(f / "a.arrow"))),
        "arrow-packed": Target(_save_packed_arrow, lambda f: list(arrow_batches(f / "a.arrow"))),
        **{f"image-{kind}": _file("a", _encoded(kind), _read_image) for kind in FORMATS},
        "run": _file("a.run", b"q1 Q0 d1 1 0.5 r\nq1 Q0 d2 2 0.25 r\n", read_ranked_pairs),
        "run-json": _file("a.json", pairs, read_ranked_pairs),
        "run-csv": _file("a.csv", ranked.write_csv().encode(), read_ranked_pairs),
        "run-parquet": _file("a.parquet", lists.getvalue(), read_ranked_pairs),
        "qrels": _file("a.txt", b"q1 0 d1 1\nq1 0 d2 0.5\n", read_judged_pairs),
        "query": _file("query.json", json.dumps(_QUERY).encode(), _read_query),
        "filter": _file("filter.txt", _FILTER.encode(), _read_filter),
        "recipe": Target(_save_recipe, lambda f: load_recipe(f / "a.toml")),
        "job": _file("a.toml", example_job("serpapi").encode(), _load_job),
        "rubric": _file("a.toml", RUBRIC_TEMPLATE.encode(), load_rubric),
        "json": _file("a.json", b'{"a": [1, 2.5, {"b": null}]}', read_json),
        "queries": _file("a.csv", b"query\nred mug\nblue mug\n", read_queries),
        "graded-queries": _file("a.csv", b"query_id,query\n1,red mug\n2,cup\n", read_query_file),
        "graded-queries-parquet": _file("a.parquet", texts.getvalue(), read_query_file),
        "grades": _file("judgments.jsonl", _GRADES, lambda p: latest_judgments(p.parent)),
        "categories": _file("a.txt", b"A > B\nA > C\n", read_categories),
        "categories-json": _file("a.json", b'{"A": {"B": null}, "C": ["D"]}', read_categories),
        "propensities": _file("a.csv", b"position,propensity\n1,1.0\n2,0.5\n", read_propensities),
    }


def _file(name: str, data: bytes, read: Read) -> Target:
    return Target(lambda f: (f / name).write_bytes(data), lambda f: read(f / name))


def _read_layout(name: str, source: Path, options: dict[str, Path]) -> None:
    guess_layout(source)
    LAYOUTS[name].read(source, **options)


_GRADES = b"""\
{"query_id": "q", "doc_id": "d", "score": 2.5, "rater": "a", "judgment_id": "1", "query": "mug"}
{"query_id": "q", "doc_id": "d", "score": null, "rater": "b", "judgment_id": "2"}
{"query_id": "q", "doc_id": "d", "score": null, "rater": "a", "verdict": "undo", "undoes": "1"}
"""
_FILTER = "10 <= price < 50 and (brand in ('Acme', 'O''Hara') or not added >= '2026-01-31')"
_QUERY = {
    "query": [{"text": "red", "weight": 1}, {"image": "data:image/png;base64,iVBORw0KGgo="}],
    "filter": _FILTER,
    "hybrid": {"fields": ["title^2"], "weights": {"text": 0.5}},
    "boost": [{"field": "price", "scale": "log1p", "weight": 0.1}],
    "exclude": [{"like": "d1", "above": 0.5}],
    "mmr": {"diversity": 0.3, "candidates": 100},
    "cutoff": {"min_similarity": 0.2},
    "now": "2026-02-01T00:00:00Z",
}
_STORED = pl.DataFrame(
    {"price": [1.5, None], "brand": ["Acme", None], "added": [date(2026, 1, 31), None]}
)


def _read_query(path: Path) -> None:
    query = Query.from_json(path.read_bytes())
    assert Query.of(query.to_json()) == query
    if query.filter is not None:
        filter_mask(query.filter, _STORED)


def _read_filter(path: Path) -> None:
    text = decode_utf8(path.read_bytes(), where=str(path))
    assert filter_mask(text, _STORED).dtype == pl.Boolean


def _save_recipe(folder: Path) -> None:
    shop = ranking_shop().save(folder / "shop")
    (folder / "a.toml").write_text(recipe_text(shop), "utf-8")
    shutil.rmtree(folder / "shop")


def _save_shop(folder: Path) -> None:
    tiny_shop(folder / "shop")


def _read_dataset(folder: Path) -> None:
    audit(RankingDataset.load(folder / "shop"))
    audit(DatasetFolder.load(folder / "shop"), images=False)


def _save_arrow(folder: Path) -> None:
    frame = pl.DataFrame({"a": ["x", None, "y"] * 9, "b": [1, 2, 3] * 9})
    write_saved_dataset(folder / "data", [frame], "0")
    (folder / "data/data-00000-of-00001.arrow").rename(folder / "a.arrow")


def _load_job(path: Path) -> None:
    load_job(path, allow_env=["SERPAPI_KEY"])


def _save_packed_arrow(folder: Path) -> None:
    import pyarrow as pa

    table = pa.table({"a": ["x" * 99, None, "y"] * 9, "b": pa.array(["p", "q", "p"] * 9)})
    table = table.set_column(1, "b", table["b"].dictionary_encode())
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(str(folder / "a.arrow"), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=10)


def _read_image(path: Path) -> None:
    image_head(path)
    image_notes(path)


def _encoded(kind: str) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x112] = 6
    options = {} if kind in ("GIF", "BMP") else {"exif": exif}
    image.save(file, kind, **options)
    return file.getvalue()
