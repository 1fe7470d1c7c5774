"""Check the built documentation site: `python docs/site/site_check.py SITE`.

Every link inside the site leads to a file, and to an element where it names one; no page loads
anything from elsewhere, so that the site works without a network and tells nobody who reads it.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["problems"]

_LOADS = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
"""Element → the attribute whose address a browser loads with the page."""

_STYLE_LOAD = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")


class _Page(HTMLParser):
    """The ids, links, loads and inline styles of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        self.loads += _STYLE_LOAD.findall(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if (address := values.get(_LOADS.get(tag, ""))) and values.get("rel") != "canonical":
            self.loads.append(address)


def problems(site: Path) -> list[str]:
    """Return what is wrong with the site, one message per fault; nothing if all is well."""
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: no pages"]
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name}: loads {a}" for a in page.loads if _is_elsewhere(a)]
        inside = [a for a in [*page.links, *page.loads] if not _is_elsewhere(a)]
        found += [f"{name}: {a} {fault}" for a in inside if (fault := _fault(a, path, site, pages))]
    for path in sorted(site.rglob("*.css")):
        loads = _STYLE_LOAD.findall(path.read_text("utf-8"))
        found += [f"{path.relative_to(site)}: loads {address}" for address in loads]
    return found


def _is_elsewhere(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc)


def _fault(address: str, path: Path, site: Path, pages: dict[Path, _Page]) -> str:
    """Return what is wrong with an address inside the site, or nothing."""
    parts = urlsplit(address)
    target = path
    if parts.path:
        start = site if parts.path.startswith("/") else path.parent
        target = (start / unquote(parts.path).lstrip("/")).resolve()
        target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "leads nowhere"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].ids:
        return "names no element of that page"
    return ""


if __name__ == "__main__":
    faults = problems(Path(sys.argv[1]).resolve())
    print("\n".join(faults) or "Links and loads: no fault found")
    sys.exit(1 if faults else 0)
