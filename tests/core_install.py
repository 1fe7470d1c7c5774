"""Run every command once where the core dependencies alone are installed: python core_install.py.

What needs an extra must say so in one line and exit with 2. The script refuses to run where an
extra is installed, since it would prove nothing there, and fails if a command was left out.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from format_miniatures import MINIATURES
from miniatures_of_layouts import esci, marqo_archive, marqo_parquet
from misbehaving_server import serving
from rankfield.cli.main import VERBS, main
from rankfield.formats.registry import LAYOUTS
from search_server import elastic_job, elastic_routes

EXTRAS = {
    "bm25s": "baselines",
    "datasketch": "dedupe",
    "fastapi": "serve",
    "imagehash": "dedupe",
    "lancedb": "serve",
    "onnxruntime": "onnx",
    "open_clip": "open-clip",
    "openvino": "openvino",
    "peft": "lora",
    "pymilvus": "milvus",
    "ray": "ray",
    "sentence_transformers": "sentence-transformers",
}
"""Package → the extra that brings it."""

SMALL = ["--set", "optimizer.steps=4", "--set", "batch.size=16", "--set", "dev.every=2"]
TINY = ["--set", "encoder.image_size=24", "--set", "encoder.text_width=32"]


class Commands:
    """Runs commands and keeps which ones there were."""

    def __init__(self) -> None:
        self.done: set[str] = set()

    def run(self, *words: object) -> str:
        """Run a command that must succeed; return what it printed."""
        code, printed, complaints = self._call(*words)
        if code:
            sys.exit(f"rankfield {' '.join(map(str, words))}: exit {code}\n{printed}{complaints}")
        return printed

    def needs(self, extra: str, *words: object) -> None:
        """Run a command that must name an extra in one line and exit with 2."""
        code, printed, complaints = self._call(*words)
        lines = [line for line in complaints.splitlines() if line.startswith("error: ")]
        if code != 2 or len(lines) != 1 or f"rankfield[{extra}]" not in lines[0]:
            sys.exit(
                f"rankfield {' '.join(map(str, words))}: expected exit 2 and one line that names "
                f"rankfield[{extra}]; found exit {code}\n{printed}{complaints}"
            )

    def _call(self, *words: object) -> tuple[int, str, str]:
        texts = [str(word) for word in words]
        self.done.add(" ".join(texts[:2]) if texts[0] == "import" else texts[0])
        sys.argv = ["rankfield", *texts]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main()
                code = 0
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        print(f"{code} rankfield {' '.join(texts)}", flush=True)
        return code, out.getvalue(), err.getvalue()


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        yield Path(folder)


def _curate(commands: Commands) -> None:
    """Sample, check, dedupe, split, weights, and what of them needs an extra."""
    commands.run("sample", "shop", "--documents", 200, "--queries", 40, "--per-query", 20,
                 "--image-size", 32, "--workers", 1)  # fmt: skip
    commands.run("check", "shop", "--html", "audit.html", "--card", "card.md")
    commands.run("dedupe", "shop", "unique")
    commands.needs("dedupe", "dedupe", "shop", "near", "--near", "title=0.8")
    commands.needs("dedupe", "dedupe", "shop", "near", "--near", "image=6")
    commands.run("split", "shop", "split")
    commands.needs("ray", "split", "shop", "by-ray", "--engine", "ray")
    commands.run("weights", "split", "--out", "weights.svg")


def _label(commands: Commands) -> None:
    """Clicks of fifty sessions: the better document is clicked more often."""
    rows = ["session_id,query,doc_id,position,event"]
    for session in range(50):
        order = ("d1", "d2") if session % 2 else ("d2", "d1")
        for position, document in enumerate(order, 1):
            rows.append(f"s{session},red mug,{document},{position},impression")
            if session % (2 if document == "d1" else 7) == 0:
                rows.append(f"s{session},red mug,{document},{position},click")
    Path("events.csv").write_text("\n".join(rows) + "\n", "utf-8")
    commands.run("labels", "events.csv", "labels")


def _fetch(commands: Commands, folder: Path) -> None:
    """Collect and judge against a server on loopback."""
    with serving(elastic_routes()) as server:
        job = elastic_job(folder, server.url, queries=3)
        commands.run("collect", job, "collected", "--skip-failed")
    rubric = commands.run("judge", "--example-rubric")
    Path("rubric.toml").write_text(rubric, "utf-8")
    commands.run("judge", "shop", "judged", "--rubric", "rubric.toml", "--dry-run",
                 "--endpoint", "http://127.0.0.1:9/v1", "--model", "m")  # fmt: skip
    commands.needs("sentence-transformers", "judge", "shop", "judged",
                   "--cross-encoder", "some/model")  # fmt: skip


def _train(commands: Commands) -> None:
    """From recipe to report."""
    Path("recipe.toml").write_text(commands.run("recipe", "split"), "utf-8")
    commands.run("train", "recipe.toml", "--out", "run", *SMALL, *TINY)
    commands.needs("lora", "train", "recipe.toml", "--out", "adapted", *SMALL, *TINY,
                   "--set", "lora.rank=2")  # fmt: skip
    commands.needs("sentence-transformers", "train", "recipe.toml", "--out", "st", *SMALL,
                   "--set", "encoder.kind=sentence-transformers",
                   "--set", "encoder.model=some/model")  # fmt: skip
    commands.run("folds", "recipe.toml", "shop", "--folds", 2, "--out", "folds", *SMALL, *TINY)
    commands.run("evaluate", "run/model", "split", "--out", "ranked.json")
    for baseline in ("random", "popularity", "oracle"):
        commands.run("evaluate", "split", "--baseline", baseline, "--out", f"{baseline}.json")
    commands.needs("baselines", "evaluate", "split", "--baseline", "bm25")
    commands.run("compare", "random.json", "ranked.json")
    commands.run("report", "random.json", "ranked.json", "--out", "page.html", "--out", "page.md")
    commands.run("mine", "run/model", "split", "--out", "negatives.parquet")
    commands.run("search", "run/model", "shop", "red mug")
    commands.run("index", "run/model", "shop", "--out", "index")
    commands.run("search", "index", "red mug")
    commands.run("embed", "run/model", "shop", "--out", "vectors.parquet")
    commands.needs("serve", "serve", "index")
    commands.needs("serve", "index", "run/model", "shop", "--out", "lance", "--store", "lancedb")
    commands.needs("milvus", "index", "run/model", "shop", "--out", "milvus", "--store",
                   "milvus:http://127.0.0.1:9")  # fmt: skip
    commands.needs("ray", "index", "run/model", "shop", "--out", "ray", "--engine", "ray")
    _kept(commands)
    commands.run("index", "run/model", "split", "--out", "index", "--overwrite")
    commands.run("rollback", "index")
    commands.run("search", "index", "red mug:1", "blue:-0.5", "--filter", "price < 50", "--explain")
    commands.run("search", "index", "red mug", "--hybrid", "rrf", "--json")
    commands.run("publish", "run/model", "vectors", "--as", "vectors", "--data", "split")
    for extra in ("sentence-transformers", "onnx", "openvino", "open-clip"):
        commands.needs(extra, "publish", "run/model", "published", "--as", extra)
    commands.run("push", "run/model", "me/shop", "--dry-run")
    commands.run("demo", "demo", "--documents", 200, "--queries", 60, "--steps", 3)
    commands.needs("serve", "loop", "demo")


def _kept(commands: Commands) -> None:
    """What a service with two indexes and a rater kept."""
    Path("feedback/ubi").mkdir(parents=True)
    shown = '{"query_id": "q", "doc_ids": ["a", "b"], "teams": ["now", "next"]}\n'
    click = '{"action_name": "click", "query_id": "q", "event_attributes": '
    click += '{"object": {"object_id": "b"}}}\n'
    Path("feedback/interleaved.jsonl").write_text(shown, "utf-8")
    Path("feedback/ubi/ubi_events.ndjson").write_text(click, "utf-8")
    commands.run("interleaving", "feedback")
    judged = '{"query_id": "q", "doc_id": "a", "score": 1, "rater": "anna"}\n'
    Path("feedback/judgments.jsonl").write_text(judged, "utf-8")
    commands.run("grades", "feedback", "grades.csv", "--rule", "median")


def _exchange(commands: Commands, folder: Path) -> None:
    """Every layout, from a miniature of it or from our own export."""
    for number, (layout, write, options) in enumerate(MINIATURES.values()):
        source = write(folder / f"miniature{number}")
        base = source if source.is_dir() else source.parent
        named = [w for name, file in options.items() for w in (f"--{name}", base / file)]
        commands.run("import", layout, source, f"from{number}", *named)
    for layout, write_folder in (
        ("esci", esci),
        ("marqo-gs", marqo_archive),
        ("marqo-gs-parquet", marqo_parquet),
    ):
        commands.run("import", layout, write_folder(folder / layout), f"{layout}-data")
    for layout in ("huggingface", "sentence-transformers"):
        commands.run("export", layout, "from0", f"{layout}-source")
        commands.run("import", layout, f"{layout}-source", f"{layout}-data")
    Path("qrels.txt").write_text("q1 0 d1 3\nq1 0 d2 1\n", "utf-8")
    Path("a.run").write_text("q1 Q0 d2 1 0.9 a\nq1 Q0 d1 2 0.8 a\n", "utf-8")
    commands.run("metrics", "qrels.txt", "a.run")


def _run_all() -> None:
    found = [name for name in EXTRAS if importlib.util.find_spec(name) is not None]
    if found:
        sys.exit(f"not a core installation: {', '.join(found)} can be imported")
    commands = Commands()
    with _scratch() as folder:
        _curate(commands)
        _label(commands)
        _fetch(commands, folder)
        _train(commands)
        _exchange(commands, folder)
    left_out = {*VERBS, *(f"import {layout}" for layout in LAYOUTS)} - commands.done
    if left_out:
        sys.exit(f"never run: {', '.join(sorted(left_out))}")
    print(f"{len(commands.done)} commands ran with the core dependencies alone")


if __name__ == "__main__":
    _run_all()
