"""What the documentation shows is true: code runs, commands parse, links lead somewhere."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from pydantic import BaseModel
from typer.core import TyperGroup
from typer.main import get_command

from rankfield import errors
from rankfield.cli.import_layouts import GUESS
from rankfield.cli.main import app, main
from rankfield.collect import load_job
from rankfield.evaluation import Results
from rankfield.judging import load_rubric
from rankfield.schema import Field, Provenance, ScoreScale
from rankfield.synthetic import sample_shop
from rankfield.training import Recipe, parse_recipe

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "docs" / "jobs").glob("*.md"))
"""Pages from raw files to the end, run in order as they are, with the sizes that they state."""
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *JOBS])
WALKED = ("README.md", "tutorial.md", *(page.name for page in JOBS))
"""Pages whose commands are run in order, with the Python blocks between them."""

SHELL = ("bash", "console")

SMALLER = (
    (r"(--documents |documents=)\d{4,}", r"\g<1>300"),
    (r"(--queries |queries=)\d{3,}", r"\g<1>60"),
    (r"(optimizer\.steps=)\d+", r"\g<1>4"),
    (r'("steps": )\d+', r"\g<1>4"),
)
"""Only the sizes that the page itself states are made smaller: it would take minutes."""

ON_EVERY_RUN = ["--set", "batch.size=32", "--set", "dev.splits=['in_domain']"]

_FENCE = re.compile(r"^```(\w+)?( no-run)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_WORKPLACE = re.compile(r"(?<![\w.])/work/|issues show|shared/hooks|\bpypi\.|/simple/|artifactory")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    runs: bool
    text: str


def blocks(page: Path) -> list[Block]:
    found = _FENCE.findall(page.read_text("utf-8"))
    return [Block(language, not no_run, text) for language, no_run, text in found]


def commands(block: Block) -> Iterator[tuple[list[str], str]]:
    """Yield the words after "rankfield" of each command of a shell block, and where > leads."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words and words[0].startswith("PYTHONPATH="):
            words = words[1:]
        if words[:1] != ["rankfield"]:
            continue
        target = words[words.index(">") + 1] if ">" in words else ""
        yield words[1 : words.index(">") if target else None], target


def smaller(text: str) -> str:
    for pattern, replacement in SMALLER:
        text = re.sub(pattern, replacement, text)
    return text


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def with_code(language: str) -> list[Path]:
    return [p for p in PAGES if any(b.language == language for b in blocks(p))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_pages_exist() -> None:
    assert {"README.md", "CHANGELOG.md", "docs/index.md", "docs/commands.md"} <= {
        name(page) for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_parse(page: Path) -> None:
    group = get_command(app)
    for block in blocks(page):
        if block.language in SHELL:
            for words, _ in commands(block):
                _parse(group, words)


def _parse(command: object, words: list[str]) -> None:
    while isinstance(command, TyperGroup):
        assert words, "no verb"
        # in the place of a layout, `rankfield import` takes a source whose layout is guessed
        if words[0] not in command.commands and GUESS in command.commands:
            words = [GUESS, *words]
        assert words[0] in command.commands, f"no such verb: {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    command.make_context("rankfield", list(words))  # type: ignore[attr-defined]


def test_a_wrong_option_is_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        _parse(get_command(app), ["split", "shop", "out", "--quires", "0.5"])
    with pytest.raises(AssertionError, match="no such verb"):
        _parse(get_command(app), ["divide", "shop"])


@pytest.mark.parametrize("page", [p for p in with_code("python") if p.name not in WALKED], ids=name)
def test_python_runs(page: Path, folder: Path) -> None:
    namespace: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python" and block.runs:
            _run_python(block, page, namespace)


@pytest.mark.timeout(900)  # 90 seconds of one core together, on a machine with nothing else to do
@pytest.mark.parametrize("page", JOBS, ids=name)
def test_a_job_goes_from_raw_files_to_its_end(
    page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace: dict[str, object] = {}
    for block in blocks(page):
        if block.language in SHELL and block.runs:
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["python"]:
                    monkeypatch.setattr(sys, "argv", words[1:])
                    runpy.run_path(str(ROOT / words[1]), run_name="__main__")
                if words and words[0].startswith("PYTHONPATH="):
                    monkeypatch.syspath_prepend(str(ROOT / words[0].partition("=")[2]))
                for rest, target in commands(Block("bash", True, line)):
                    _run_command(rest, target, monkeypatch, as_it_is=True)
        elif block.language == "python" and block.runs:
            _run_python(block, page, namespace)
    ENDS[page.stem](folder)


def _in_domain(folder: Path, label: str) -> float:
    return Results.load(folder / f"{label}.json").splits["in_domain"]["nDCG@10"].value or 0.0


def _shop_ends(folder: Path) -> None:
    """The model beats BM25 on known queries, with each claim of the page."""
    means = {label: _in_domain(folder, label) for label in ("bm25", "grades", "both")}
    assert means["grades"] > means["bm25"] + 0.2, means
    assert means["both"] > means["bm25"] + 0.2, means
    assert "Against each baseline" in (folder / "report.html").read_text("utf-8")
    assert str(folder) not in (folder / "MODEL_CARD.md").read_text("utf-8")
    assert len((folder / "bulk.jsonl").read_text("utf-8").splitlines()) == 600


def _researcher_ends(folder: Path) -> None:
    """Every system is in the table, each query once; the page's figures are those of the files."""
    pooled = Results.load(folder / "folds" / "results.json")
    assert pooled.queries["query_id"].n_unique() == pooled.queries.height == 60
    table = (folder / "table.tex").read_text("utf-8")
    assert all(f"all & {name} &" in table for name in ("bm25", "dense", "ours"))
    per_query = pl.read_csv(folder / "queries.csv")
    found = {
        name: group["nDCG@10"].mean()
        for (name,), group in per_query.group_by("run", maintain_order=True)
    }
    for name, value in found.items():
        mean = Results.load(folder / f"systems.{name}.json").splits["all"]["nDCG@10"].value
        assert value == pytest.approx(mean)
    lines = (folder / "ours-fold-0.run").read_text("utf-8").splitlines()
    assert len(lines) > 20 * 50


def _engineer_ends(folder: Path) -> None:
    """Training is better than random weights; the loss of one's own was trained with."""
    means = {label: _in_domain(folder, label) for label in ("untrained", "ranked")}
    assert means["ranked"] > means["untrained"] + 0.1, means
    assert "my_losses:HingeLoss" in (folder / "runs" / "hinge" / "recipe.toml").read_text("utf-8")


ENDS: dict[str, Callable[[Path], None]] = {
    "shop": _shop_ends,
    "researcher": _researcher_ends,
    "engineer": _engineer_ends,
}
"""Page of a job → what must hold at its end."""


@pytest.mark.parametrize("page", [p for p in PAGES if p.name in WALKED and p not in JOBS], ids=name)
def test_walkthrough(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.name == "README.md":
        _write_tables(folder)
    namespace: dict[str, object] = {}
    for block in blocks(page):
        if block.language in SHELL and block.runs:
            for words, target in commands(Block("bash", True, smaller(block.text))):
                _run_command(words, target, monkeypatch)
        elif block.language == "python" and block.runs:
            _run_python(Block("python", True, smaller(block.text)), page, namespace)
    if page.name == "tutorial.md":
        assert (folder / "report.html").stat().st_size > 10_000


def _run_python(block: Block, page: Path, namespace: dict[str, object]) -> None:
    exec(compile(block.text, name(page), "exec"), namespace)  # noqa: S102  the page's own code


def _run_command(
    words: list[str], target: str, monkeypatch: pytest.MonkeyPatch, *, as_it_is: bool = False
) -> None:
    if words[0] == "train" and not as_it_is:
        words = [*words, *ON_EVERY_RUN]
    monkeypatch.setattr(sys, "argv", ["rankfield", *words])
    with Path(target or "printed.txt").open("w", encoding="utf-8") as out, redirect_stdout(out):
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code, words


def _write_tables(folder: Path) -> None:
    """Write the tables that the README's reader brings."""
    shop = sample_shop(
        folder / "made", documents=300, queries=60, per_query=40, image_size=24, workers=1
    )
    (folder / "made").rename(folder / "my-tables")
    for table, columns in (
        ("queries", ["query_id", "query"]),
        ("documents", ["doc_id", "image", "title", "price"]),
        ("judgments", ["query_id", "doc_id", "score"]),
    ):
        frame: pl.DataFrame = getattr(shop, table)
        frame.select(columns).write_csv(folder / "my-tables" / f"{table}.csv")
        (folder / "my-tables" / f"{table}.parquet").unlink()


@pytest.mark.parametrize("page", with_code("toml"), ids=name)
def test_recipes_parse(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "toml":
            values = tomllib.loads(block.text)
            if "format" in values:  # the header of a data set
                assert [Field(**f) for f in values["query_fields"] + values["document_fields"]]
                assert ScoreScale(**values["score"])
                assert Provenance(**values["provenance"])
            elif "search" in values:  # a job of `rankfield collect`
                (tmp_path / "job.toml").write_text(block.text, "utf-8")
                assert load_job(tmp_path / "job.toml", allow_env=["SERPAPI_KEY"])
            elif "grades" in values:  # a rubric of `rankfield judge`
                (tmp_path / "rubric.toml").write_text(block.text, "utf-8")
                assert load_rubric(tmp_path / "rubric.toml")
            else:
                parse_recipe(values, where=name(page), allow_code=True)


def test_every_option_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for verb, command in _verbs(get_command(app)):
        heading = f"## `rankfield {verb}"
        assert heading in page, f"docs/commands.md lacks the section {heading}`"
        section = page.split(heading)[1].split("\n## ")[0]
        for parameter in command.params:  # type: ignore[attr-defined]
            for option in [*parameter.opts, *parameter.secondary_opts]:
                if option.startswith("-") and option not in ("--help", "-h"):
                    assert re.search(rf"`{option}[ `]", section), f"{verb}: {option}"


def _verbs(group: object) -> Iterator[tuple[str, object]]:
    assert isinstance(group, TyperGroup)
    for verb, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from ((f"{verb} {below}", leaf) for below, leaf in _verbs(command))
        else:
            yield "SRC OUT" if verb == GUESS else verb, command


def test_every_error_is_documented() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    for public in errors.__all__:
        assert f" {public} " in page or f"\n{public}\n" in page, public


def test_every_key_of_a_recipe_is_documented() -> None:
    page = (ROOT / "docs" / "recipe.md").read_text("utf-8")
    sections: dict[str, type[BaseModel]] = {"## Top level": Recipe}
    sections |= {
        f"## `[{key}]`": type(value)
        for key, value in dict(Recipe()).items()
        if isinstance(value, BaseModel)
    }
    sections |= {
        f"## `[[{key}]]`": entry
        for key, info in Recipe.model_fields.items()
        for entry in get_args(info.annotation)
        if isinstance(entry, type) and issubclass(entry, BaseModel)
    }
    for heading, model in sections.items():
        assert heading in page
        rows = page.split(heading)[1].split("\n## ")[0]
        cells = " ".join(line.split("|")[1] for line in rows.splitlines() if line.startswith("|"))
        documented = set(re.findall(r"`(\w+)`", cells))
        keys = {
            key
            for key, info in model.model_fields.items()
            if not any(f"{mark}{key}]" in h for h in sections for mark in ("`[", "`[["))
        }
        assert documented == keys, heading


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(_FENCE, "", page.read_text("utf-8"))
    for link in _LINK.findall(text):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leaves the repository"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target), f"no heading for {link}"


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the usual Markdown renderers name them."""
    text = re.sub(_FENCE, "", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_page_names_the_workplace() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    for page in {*PAGES, *(ROOT / path for path in listed)}:
        if page.is_file():
            found = _WORKPLACE.search(page.read_text("utf-8"))
            assert found is None, f"{name(page)}: {found}"
