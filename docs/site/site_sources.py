"""Prepare the sources of the documentation site: `python docs/site/site_sources.py OUT`.

The pages of `docs/` are read on GitHub too, so they link to files elsewhere in the repository. The
site has those beside the pages: other Markdown pages under a name of their own, other files as
copies. The pages of the Python API come from the `__all__` of each package, read without importing.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from pathlib import Path

__all__ = ["ELSEWHERE", "api_pages", "public_names", "stage", "staged_text"]

ROOT = Path(__file__).resolve().parents[2]

ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/RESULTS.md": "results.md",
    "docs/jobs/engineer.md": "job-engineer.md",
    "docs/jobs/researcher.md": "job-researcher.md",
    "docs/jobs/shop.md": "job-shop.md",
}
"""Pages elsewhere than in `docs/` itself, and their names on the site."""

WITHOUT_API = ("cli",)
"""Parts that the site describes elsewhere: docs/commands.md has the commands."""

_FENCE = re.compile(r"^(```\w+) no-run$", re.MULTILINE)
_LINK = re.compile(r"(\]\()(?!https?://|#)([^)\s#]+)(#[^)\s]*)?(\))")


def stage(out: Path) -> None:
    """Write the configuration and the pages of the site to `out`, which is replaced."""
    shutil.rmtree(out, ignore_errors=True)
    pages = out / "pages"
    pages.mkdir(parents=True)
    sources = {page: page.name for page in sorted((ROOT / "docs").glob("*.md"))}
    sources |= {ROOT / source: name for source, name in ELSEWHERE.items()}
    copies: set[Path] = set()
    for source, name in sources.items():
        (pages / name).write_text(staged_text(source, sources, copies), "utf-8")
    for file in copies:
        target = pages / "files" / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    for asset in ("style.css", "logo.svg"):
        shutil.copyfile(ROOT / "docs" / "site" / asset, pages / asset)
    (pages / "api").mkdir()
    written = api_pages()
    for name, text in written.items():
        (pages / "api" / name).write_text(text, "utf-8")
    configuration = (ROOT / "docs" / "site" / "mkdocs.yml").read_text("utf-8")
    index = "          - api/index.md\n"
    assert index in configuration
    listed = "".join(f"          - api/{name}\n" for name in written)
    (out / "mkdocs.yml").write_text(configuration.replace(index, listed), "utf-8")


def staged_text(source: Path, sources: dict[Path, str], copies: set[Path]) -> str:
    """Return a page as the site has it; add the files that it links to to `copies`."""

    def moved(link: re.Match[str]) -> str:
        before, path, anchor, after = link.groups(default="")
        target = Path(os.path.normpath(source.parent / path))
        if target in sources:
            path = sources[target]
        elif target.is_file() and target.is_relative_to(ROOT):
            copies.add(target)
            path = f"files/{target.relative_to(ROOT)}"
        else:
            raise ValueError(f"{source.relative_to(ROOT)}: {path} leads nowhere")
        return f"{before}{path}{anchor}{after}"

    return _LINK.sub(moved, _FENCE.sub(r"\1", source.read_text("utf-8")))


def api_pages() -> dict[str, str]:
    """Return file name → page of the Python API: an index, then one page per part."""
    package = ROOT / "src" / "rankfield"
    modules = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
    }
    parts = sorted({".".join(name.split(".")[:2]) for name in modules} - {"rankfield"})
    parts = [part for part in parts if part.split(".")[1] not in WITHOUT_API]
    packages = [part for part in parts if any(m.startswith(f"{part}.") for m in modules)]
    single = [part for part in parts if part not in packages]
    index = ["# Python API", "", "The public names of each part, as its `__all__` lists them.", ""]
    pages = {"index.md": ""}
    for heading, listed in (("Packages", ["rankfield", *packages]), ("Foundations", single)):
        index += [f"## {heading}", "", "| part | for |", "|---|---|"]
        for part in listed:
            below = sorted(m for m in modules if part in packages and m.startswith(f"{part}."))
            pages[f"{part}.md"] = _api_page(part, public_names(part), below)
            index.append(f"| [`{part}`]({part}.md) | {_purpose(part)} |")
        index.append("")
    pages["index.md"] = "\n".join(index)
    return pages


def public_names(module: str) -> list[str]:
    """Return the `__all__` of a module, without importing it."""
    for node in _tree(module).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=value)
                | ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value)
            ):
                names = ast.literal_eval(value)
                assert isinstance(names, list)
                return [str(name) for name in names]
    raise ValueError(f"{module}: no __all__")


def _api_page(part: str, names: list[str], below: list[str]) -> str:
    lines = [f"# {part}", "", _purpose(part), ""]
    lines += [line for name in names for line in (f"::: {_home(part, name)}", "")]
    seen = set(names)
    for module in below:
        own = [name for name in public_names(module) if name not in seen]
        if own:
            lines += [f"## {module}", "", _purpose(module), ""]
            lines += [line for name in own for line in (f"::: {_home(module, name)}", "")]
            seen.update(own)
    return "\n".join(lines)


def _home(module: str, name: str) -> str:
    """Return the full name of a public name in the module that defines it."""
    body = _tree(module).body
    body += [below for node in body if isinstance(node, ast.If) for below in node.body]
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rankfield"):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _home(str(node.module), alias.name)
    return f"{module}.{name}"


def _purpose(module: str) -> str:
    """Return the first sentence of the module's docstring."""
    text = ast.get_docstring(_tree(module)) or ""
    return " ".join(text.split("\n\n")[0].split())


def _tree(module: str) -> ast.Module:
    path = ROOT / "src" / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text("utf-8"))


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
