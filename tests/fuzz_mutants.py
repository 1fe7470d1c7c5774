"""Good files, changed at random, for every reader and decoder.

A mutant ends well, or in an error that rankfield raises on purpose; it takes less than 10 seconds
and the process less than 1 GiB more than it began with. Each is made from the seed and its own
number alone.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import polars as pl
from PIL import Image

from format_miniatures import MINIATURES
from rankfield.collect.categories import read_categories
from rankfield.collect.job import example_job, load_job
from rankfield.collect.queries import read_queries
from rankfield.curation.labels.propensities import read_propensities
from rankfield.errors import RankfieldError
from rankfield.evaluation.results import Results
from rankfield.files import read_json
from rankfield.formats import guess_layout
from rankfield.formats.arrow_files import arrow_batches
from rankfield.formats.rankings import read_judged_pairs, read_ranked_pairs
from rankfield.formats.registry import LAYOUTS
from rankfield.formats.staged_tables import stage_table
from rankfield.images import FORMATS, image_head, image_notes
from rankfield.judging.rubric import RUBRIC_TEMPLATE, load_rubric
from rankfield.report.log import read_log
from rankfield.schema import DatasetFolder, RankingDataset
from rankfield.training.recipe import load_recipe
from rankfield.training.template import recipe_text
from rankfield.validate import audit
from training_data import tiny_shop

SECONDS = 10
MEMORY = 1 << 20  # KiB
HOSTILE = (
    *(b"9" * 5000, b"1e999", b"-1e999", b"NaN", b"1" * 400, b"1e-999999999", b"0x" + b"f" * 99),
    *(b"[" * 5000, b"{" * 3000, b'{"a":' * 2000, b"<a>" * 3000, b"<topic " * 3000, b"." * 3000),
    *(b"\0", b"\xff\xfe", b"\\ud800", b"\xed\xa0\x80", b'"', b"'", b"\t", b"\n", b"\r", b","),
    *(b"../../x", b"/etc/passwd", b"*", b"[1]", b"null", b"true", b"{}", b"[]", b"\x1b[2J"),
)


@dataclass(frozen=True)
class Target:
    """A folder of good files, and what reads it; one file of it is changed for each mutant."""

    folder: Path
    read: Callable[[Path], object]


def targets(root: Path) -> dict[str, Target]:
    """Make the good files of every target below `root`."""
    found: dict[str, Target] = {}

    def add(
        name: str, read: Callable[[Path], object], files: dict[str, bytes] | None = None
    ) -> Path:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in (files or {}).items():
            (folder / file).write_bytes(data)
        found[name] = Target(folder, read)
        return folder

    for name, (layout, write, options) in MINIATURES.items():
        source = write(add(f"layout-{name}", _layout(layout, options)))
        inner = source.relative_to(root / f"layout-{name}")
        found[f"layout-{name}"] = Target(
            root / f"layout-{name}", _layout(layout, options, str(inner))
        )
    shop = tiny_shop(root / "shop")
    found["dataset"] = Target(root / "shop", _dataset)
    for name, known in LAYOUTS.items():
        try:
            known.write(shop, root / f"export-{name}")
        except RankfieldError:
            continue
        found[f"export-{name}"] = Target(root / f"export-{name}", _layout(name, {}))
    table = pl.DataFrame({"doc_id": [f"d{i}" for i in range(50)], "x": [1.5, None] * 25})
    packed, stored = gzip.compress(table.write_csv().encode()), io.BytesIO()
    table.write_parquet(stored)
    add("gzip", lambda f: stage_table(f / "a.csv.gz", f).lazy().collect(), {"a.csv.gz": packed})
    add("parquet", lambda f: list(arrow_batches(f / "a.parquet")), {"a.parquet": stored.getvalue()})
    for kind in FORMATS:
        add(f"image-{kind}", _image, {"a": _encoded(kind)})
    ranked = b"q1 Q0 d1 1 0.5 run\nq1 Q0 d2 2 0.25 run\n"
    add("run", lambda f: read_ranked_pairs(f / "a.run"), {"a.run": ranked})
    add("qrels", lambda f: read_judged_pairs(f / "a.txt"), {"a.txt": b"q1 0 d1 1\nq1 0 d2 0.5\n"})
    add("recipe", lambda f: load_recipe(f / "a.toml"), {"a.toml": recipe_text(shop).encode()})
    add("job", lambda f: load_job(f / "a.toml"), {"a.toml": example_job("serpapi").encode()})
    add("rubric", lambda f: load_rubric(f / "a.toml"), {"a.toml": RUBRIC_TEMPLATE.encode()})
    add("json", lambda f: read_json(f / "a.json"), {"a.json": b'{"a": [1, 2.5, {"b": null}]}'})
    results = {"format": 1, "splits": {"all": {"nDCG@10": {"value": 0.5, "queries": 2}}}}
    add("results", lambda f: Results.load(f / "a.json"), {"a.json": json.dumps(results).encode()})
    event = b'{"step": 1, "loss": 0.5}\n{"step": 2, "ndcg@10": 0.25}\n'
    add(
        "log",
        read_log,
        {"log.jsonl": event, "recipe.toml": b"[optimizer]\nsteps = 2\n"},
    )
    add("queries", lambda f: read_queries(f / "a.csv"), {"a.csv": b"query\nred mug\nblue mug\n"})
    add("categories", lambda f: read_categories(f / "a.txt"), {"a.txt": b"A > B\nA > C\n"})
    rates = b"position,propensity\n1,1.0\n2,0.5\n"
    add("propensities", lambda f: read_propensities(f / "a.csv"), {"a.csv": rates})
    return found


def _layout(name: str, options: dict[str, str], inner: str = "") -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        files = {key: folder / value for key, value in options.items()}
        guess_layout(folder / inner)
        LAYOUTS[name].read(folder / inner, **files)

    return read


def _dataset(folder: Path) -> None:
    audit(RankingDataset.load(folder))
    audit(DatasetFolder.load(folder), images=False)


def _image(folder: Path) -> None:
    image_head(folder / "a")
    image_notes(folder / "a")


def _encoded(kind: str) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x112] = 6
    options = {} if kind in ("GIF", "BMP") else {"exif": exif}
    image.save(file, kind, **options)
    return file.getvalue()


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Return the bytes with one to four changes."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) + 1)
        size = draw.choice((1, 1, 2, 4, 16, 200))
        match draw.randrange(6):
            case 0:
                data = data[:at] + draw.randbytes(size) + data[at + size :]
            case 1:
                data = data[:at] + data[at + size :]
            case 2:
                data = data[:at]
            case 3:
                data = data[:at] + draw.choice(HOSTILE) + data[at:]
            case 4:
                data = data[:at] + data[at : at + size] * draw.choice((2, 50)) + data[at:]
            case _:
                end = draw.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
                data = data[:at] + end + data[at + 4 :]
    return data


def run(
    mutants: int, seed: int, start: int = 0, only: str = "", *, quiet: bool = False
) -> list[str]:
    """Read that many mutants and return what is wrong with them, one per line."""
    wrong: list[str] = []
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        known = {n: t for n, t in targets(root / "good").items() if only in n}
        names = sorted(known)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.signal(signal.SIGALRM, _late)
        for number in range(start, start + mutants):
            draw = random.Random(f"{seed} {number}")
            name = names[number % len(names)]
            problem = _one(known[name], root / "mutant", draw, ends)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if peak - before > MEMORY:
                problem, before = f"{(peak - before) >> 10} MiB more", peak
            if problem:
                wrong.append(f"mutant {number} of {name}: {problem}")
                if not quiet:
                    print(wrong[-1], flush=True)
            if not quiet and number % 2000 == 1999:
                print(f"{number + 1:,} mutants: {dict(ends)}", flush=True)
    return wrong


def _one(target: Target, place: Path, draw: random.Random, ends: Counter[str]) -> str:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(target.folder, place)
    files = sorted(p for p in place.rglob("*") if p.is_file())
    chosen = draw.choice(files)
    data = mutated(chosen.read_bytes(), draw)
    chosen.unlink()
    chosen.write_bytes(data)
    begun = time.monotonic()
    signal.alarm(SECONDS + 5)
    try:
        target.read(place)
        ends["read"] += 1
    except RankfieldError:
        ends["refused"] += 1
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        ends["wrong"] += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({last.filename}:{last.lineno})"
    finally:
        signal.alarm(0)
    took = time.monotonic() - begun
    return f"{took:.1f} s" if took > SECONDS else ""


def _late(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"not done after {SECONDS + 5} s")
