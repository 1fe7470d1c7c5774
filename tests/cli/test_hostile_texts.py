"""Every command on data whose names, ids and texts are hostile: nothing raw, nothing live."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from format_miniatures import MINIATURES
from misbehaving_server import serving
from parsed_page import Page
from rankfield.cli.main import VERBS, main
from rankfield.formats.registry import LAYOUTS
from rankfield.schema import Field, Provenance, RankingDataset, ScoreScale
from search_server import elastic_job, elastic_routes

EVIL = (
    "\x1b]0;PWNED\x07\x1b[2J\x9b31m\u202e\u2066\u200f\u200b[bold]$\\frac{$ $x^2$ `c` "
    "<script>alert(1)</script><img src=x onerror=alert(1)>![b](http://evil.example/b.png) | {{7*7}}"
)
BREAKS = f"{EVIL}\n# heading\n---\n\tlicense: mit\r\n"
FORMULA = "=cmd|' /C calc'!A0"
FILE = "\x1b]0;PWNED\x07\x9b\u202e[red]$x$ =1"
"""For names of files, which hold no stroke and at most 255 bytes."""

RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LIVE = re.compile(r"(?<!\\)(<(script|img)|\[b\]\()")
SMALL = ["optimizer.steps=2", "batch.size=8", "dev.every=2", "encoder.dimension=16", "log_every=1"]


@dataclass
class Walk:
    """Runs commands, and looks at what each printed and how it ended."""

    capsys: pytest.CaptureFixture[str]
    done: set[str] = field(default_factory=set)

    def __call__(self, *words: object, code: int | None = 0) -> str:
        texts = [str(word) for word in words]
        self.done.add(" ".join(texts[:2]) if texts[0] == "import" else texts[0])
        sys.argv = ["rankfield", *texts]
        try:
            main()
            ended = 0
        except SystemExit as stop:
            ended = int(stop.code or 0)
        out, err = self.capsys.readouterr()
        for text in (out, err):
            assert not RAW.search(text), (texts[0], RAW.findall(text), text)
        assert "Traceback" not in err, err
        assert ended in ((0, 2) if code is None else (code,)), err
        return out


@pytest.fixture
def walk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Walk]:
    monkeypatch.setattr(sys, "argv", ["rankfield"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with chdir(tmp_path):
        yield Walk(capsys)


def hostile_data(folder: Path) -> RankingDataset:
    """Make a data set of which every name, id, text and note is hostile."""
    count, draw = 60, random.Random(0)
    ids = [f"{FORMULA if i % 2 else BREAKS}{i}" for i in range(count)]
    title = f"ti{EVIL}tle"
    judged = [(q, d) for q in range(40) for d in draw.sample(range(count), 8)]
    return RankingDataset(
        name=BREAKS,
        query_fields=(Field(f"que{EVIL}ry", "text"),),
        document_fields=(Field(title, "text"), Field(FORMULA, "text")),
        score_scale=ScoreScale(0, 3, 1, meaning=BREAKS),
        queries=pl.DataFrame(
            {
                "query_id": ids[:40],
                f"que{EVIL}ry": [f"{BREAKS}mug {i % 7}" for i in range(40)],
                "band": [f"{BREAKS}{i % 2}" for i in range(40)],
            }
        ),
        documents=pl.DataFrame(
            {
                "doc_id": ids,
                title: [f"{BREAKS}mug {i % 7} {i // 2}" for i in range(count)],
                FORMULA: [FORMULA] * count,
            }
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [ids[q] for q, _ in judged],
                "doc_id": [ids[d] for _, d in judged],
                "score": [3.0 if q % 7 == d % 7 else float(d % 2) for q, d in judged],
            }
        ),
        provenance=Provenance(
            source=BREAKS, licence=BREAKS, made_by=BREAKS, notes=(BREAKS, FORMULA)
        ),
    ).save(folder)


def looks_inert(path: Path) -> None:
    """Look at what was written for people: a page, Markdown or CSV."""
    text = path.read_text("utf-8")
    if path.suffix == ".html":
        page = Page(text)
        tags = {tag for tag, _ in page.tags}
        assert not tags & {"script", "iframe", "object", "base", "form"}
        for tag, attributes in page.tags:
            assert not any(name.startswith("on") for name in attributes), (tag, attributes)
            for name in ("src", "href"):
                assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
        assert "PWNED" in text
        assert not STEERS.search(text)
    elif path.suffix == ".md":
        _, header, body = text.split("---\n", 2) if text.startswith("---\n") else ("", "", text)
        assert not STEERS.search(text)
        prose = re.sub(r"^```.*?^```$", "", body, flags=re.DOTALL | re.MULTILINE)
        assert not LIVE.search(prose), LIVE.search(prose)
        assert "\n# heading" not in prose
        assert "\nlicense: mit" not in header
    else:
        cells = pl.read_csv(path, infer_schema=False, glob=False)
        for name, column in zip(cells.columns, cells.iter_columns(), strict=True):
            for value in [name, *column.drop_nulls()]:
                number = re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", value, re.IGNORECASE)
                assert number or not value.startswith(tuple("=+-@\t\r\n")), value


def _curate(walk: Walk) -> None:
    files = {name: Path(f"{FILE}{name}") for name in ("a.html", "c.md", "p.csv")}
    options = ["--html", files["a.html"], "--card", files["c.md"], "--out", files["p.csv"]]
    walk("check", "data", *options, code=None)
    for path in files.values():
        looks_inert(path)
    walk("dedupe", "data", f"{FILE}dd")
    walk("split", "data", "split", "--dev", "0.3", "--stratify-queries-by", "band", code=None)
    if not Path("split").exists():
        walk("split", "data", "split", "--dev", "0.3")
    walk("weights", "split", "--out", f"{FILE}.svg")
    walk("sample", f"{FILE}shop", "--documents", 120, "--queries", 40, "--no-images")
    rows = ["session_id,query,doc_id,position,event"]
    for session in range(40):
        for place, document in enumerate(("d1", "d2") if session % 2 else ("d2", "d1"), 1):
            rows.append(f's{session},"{EVIL}",{FILE}{document},{place},impression')
            if session % (2 if document == "d1" else 7) == 0:
                rows.append(f's{session},"{EVIL}",{FILE}{document},{place},click')
    Path(f"{FILE}e.csv").write_text("\n".join(rows) + "\n", "utf-8")
    walk("labels", f"{FILE}e.csv", f"{FILE}labels")


def _train(walk: Walk) -> None:
    Path("r.toml").write_text(walk("recipe", "split"), "utf-8")
    sets = [word for one in SMALL for word in ("--set", one)]
    walk("train", "r.toml", "--out", f"{FILE}run", "--set", f'name="{FORMULA}"', *sets)
    walk("folds", "r.toml", "data", "--folds", 2, "--out", f"{FILE}folds", "--label", BREAKS, *sets)
    model = Path(f"{FILE}run") / "model"
    walk("evaluate", model, "split", "--out", "e.json", "--label", BREAKS, "--robustness")
    walk("evaluate", "split", "--baseline", "random", "--out", "b.json", "--label", FORMULA)
    bands = ["--slice", "query.band"]
    walk("compare", "b.json", "e.json", "--details", *bands)
    walk("compare", "b.json", "e.json", "--out", f"{FILE}c.csv")
    walk("compare", "b.json", "e.json", "--out", f"{FILE}c.json", *bands)
    forms = [Path(f"{FILE}r.{ending}") for ending in ("html", "md", "json")]
    outs = [word for path in forms for word in ("--out", path)]
    card = Path(f"{FILE}card.md")
    walk("report", "b.json", "e.json", *outs, *bands, "--title", BREAKS, "--model-card", card)
    for path in (*forms[:2], card, Path(f"{FILE}c.csv")):
        looks_inert(path)
    json.loads(forms[2].read_text("utf-8"))
    for name in ("vectors", "sentence-transformers"):
        out = Path(f"{FILE}{name}")
        walk("publish", model, out, "--as", name, "--data", "split", code=None)
        if out.exists():
            looks_inert(out / "README.md")
        walk("push", out if out.exists() else model, "me/shop", "--dry-run", code=None)
    walk("push", model, EVIL, "--dry-run", code=2)
    walk("mine", model, "split", "--out", f"{FILE}n.parquet")
    walk("search", model, "data", f"{EVIL} mug 3")
    walk("index", model, "data", "--out", f"{FILE}index")
    walk("index", model, "data", "--out", f"{FILE}index", "--overwrite")
    walk("rollback", f"{FILE}index")
    walk("embed", model, "data", "--out", f"{FILE}vectors.parquet")
    walk("serve", f"{FILE}nowhere", code=2)
    _interleaved(walk)
    walk("search", f"{FILE}index", f"{EVIL} mug 3")
    walk("demo", f"{FILE}demo", "--documents", 200, "--queries", 60, "--steps", 3)
    few = ["--rounds", 1, "--visitors", 40, "--lists", 4, "--steps", 2]
    walk("loop", f"{FILE}demo", "--out", f"{FILE}loop", *few)
    looks_inert(Path(f"{FILE}loop") / "report.html")


def _exchange(walk: Walk) -> None:
    for name in LAYOUTS:
        walk("export", name, "split", f"{FILE}{name}", code=None)
        if Path(f"{FILE}{name}").exists():
            walk("import", name, f"{FILE}{name}", f"{FILE}{name}-data", code=None)
    for number, (layout_name, write, options) in enumerate(MINIATURES.values()):
        source = write(Path(f"{FILE}{number}").absolute())
        base = source if source.is_dir() else source.parent
        named = [w for name, file in options.items() for w in (f"--{name}", base / file)]
        walk("import", layout_name, source, f"{FILE}from{number}", *named, "--name", BREAKS)
    walk("import", Path(f"{FILE}0"), f"{FILE}guessed", code=None)
    for layout_name in LAYOUTS:
        walk("import", layout_name, f"{FILE}nowhere", "never", code=2)
    Path("qrels.txt").write_text(f"q1 0 {FORMULA.replace(' ', '')} 3\n=q2 0 \x1b[2Jd2 1\n", "utf-8")
    Path(f"{FILE}.run").write_text("q1 Q0 d2 1 0.9 a\n=q2 Q0 \x1b[2Jd2 1 0.8 a\n", "utf-8")
    walk("metrics", "qrels.txt", f"{FILE}.run", "--per-query", "q.csv")
    looks_inert(Path("q.csv"))
    Path("b.run").write_text("q1 Q0 d2 1 0.9 a\n=q2 Q0 \x1b[2Jd2 1 0.8 a\n", "utf-8")
    labelled = f"{FILE.split('=', maxsplit=1)[0]}`c` <script>alert(1)</script>![b](http:=b.run"
    tables = ["--table", "t.md", "--out", "m.json", "--overwrite"]
    walk("metrics", "qrels.txt", f"{FILE}.run", labelled, "--compare", *tables)
    looks_inert(Path("t.md"))
    said = walk("metrics", "qrels.txt", f"{FILE}.run", "--json")
    assert f"{FILE}.run" in json.loads(said)["runs"]


def _interleaved(walk: Walk) -> None:
    Path(f"{FILE}kept/ubi").mkdir(parents=True)
    shown = {"query_id": EVIL, "doc_ids": ["a", "b"], "teams": [EVIL, FORMULA]}
    click: dict[str, object] = {"action_name": "click", "query_id": EVIL}
    click |= {"event_attributes": {"object": {"object_id": "b"}}}
    Path(f"{FILE}kept/interleaved.jsonl").write_text(json.dumps(shown) + "\n", "utf-8")
    Path(f"{FILE}kept/ubi/ubi_events.ndjson").write_text(json.dumps(click) + "\n", "utf-8")
    walk("interleaving", f"{FILE}kept")
    judged = [
        {"query_id": EVIL, "doc_id": FORMULA, "score": score, "rater": f"{EVIL}{score}"}
        for score in (0, 1)
    ]
    lines = "".join(json.dumps({**one, "query": BREAKS}) + "\n" for one in judged)
    Path(f"{FILE}kept/judgments.jsonl").write_text(lines, "utf-8")
    walk("grades", f"{FILE}kept", f"{FILE}grades.parquet", "--settled-by", f"{EVIL}1")


def _fetch(walk: Walk, folder: Path) -> None:
    with serving(elastic_routes()) as server:
        job = elastic_job(folder, server.url, queries=3)
        (folder / "queries.txt").write_text(f"{EVIL}\n{FORMULA}\n{FILE}\n", "utf-8")
        walk("collect", job, f"{FILE}collected", "--skip-failed", code=None)
        walk("collect", job, "--preview", code=None)
    Path("rubric.toml").write_text(walk("judge", "--example-rubric"), "utf-8")
    here = ["--endpoint", "http://127.0.0.1:9/v1", "--model", EVIL]
    walk("judge", "data", "judged", "--rubric", "rubric.toml", "--dry-run", *here)


def test_every_command_shows_hostile_names_and_texts_inertly(walk: Walk, tmp_path: Path) -> None:
    hostile_data(Path("data"))
    _curate(walk)
    _train(walk)
    _exchange(walk)
    _fetch(walk, tmp_path)
    assert walk.done >= {*VERBS, *(f"import {name}" for name in LAYOUTS)}
