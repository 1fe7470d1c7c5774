"""What holds of every page: no violation of axe-core, any width and scheme, keys alone, weight."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

Tab = Any
"""A page of Playwright."""

PARTS = "&kind=text&part=glass&weight=-0.4&kind=like&part=p0000003&weight=0.5"
PAGES = {
    "empty": "/",
    "found": "/?index=shop&q=red+mug",
    "explained": f"/?index=shop&q=red+mug{PARTS}&explain=3&hybrid=1&is.audience=women",
    "nothing": "/?index=shop&q=red+mug&max.price=0",
    "models": "/compare",
    "compared": "/compare?query=q000001&index.1=shop&index.2=next&index.3=next&hybrid.3=1",
    "name": "/grade",
    "queries": "/grade?rater=anna",
    "graded": "/grade?rater=anna&query=q000000",
    "ranks": "/grade?rater=anna&query=q000000&blind=0",
    "ordered": "/grade?rater=anna&sort=worst",
    "agreement": "/agreement?rater=anna&rule=median",
    "results": "/results?metric=ERR@10",
    "paired": "/results?first={0}&second={1}",
}
WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(params=PAGES, scope="module")
def address(request: pytest.FixtureRequest, snapshots: list[str]) -> str:
    found: str = PAGES[request.param]
    return found.format(*snapshots)


@pytest.fixture(scope="module")
def snapshots(service: str) -> list[str]:
    """Take two snapshots of different judgments, and return their ids."""
    found: list[str] = []
    for queries in ("judged", "all"):
        body = {"index": "shop", "queries": queries}
        httpx2.post(f"{service}/results/snapshots", json=body, timeout=60).raise_for_status()
        while (state := httpx2.get(f"{service}/results/job", timeout=60).json())["runs"]:
            time.sleep(0.1)
        found.append(state["snapshot"])
    return found


@pytest.fixture(autouse=True, scope="module")
def _two_raters_disagree(service: str) -> None:
    judgments = [
        {"query_id": "q000005", "doc_id": f"p000000{i}", "score": score + i, "rater": rater}
        for i in range(4)
        for rater, score in (("dora", 1.0), ("emil", 50.5))
    ]
    kept = httpx2.post(f"{service}/v1/judgments", json={"judgments": judgments}, timeout=60)
    assert kept.status_code == 200, kept.text


@pytest.mark.parametrize(("width", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_axe_finds_no_violation(
    open_tab: Callable[..., Tab], address: str, width: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab = open_tab(viewport={"width": WIDTHS[width], "height": 844}, color_scheme=scheme)
    tab.goto(address)
    tab.evaluate(_OPEN_ALL)
    found = axe.run(tab).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


_OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"


def test_a_phone_scrolls_down_only(open_tab: Callable[..., Tab], address: str) -> None:
    phone = {"width": WIDTHS["phone"], "height": 844}
    tab = open_tab(viewport=phone, is_mobile=True, has_touch=True)
    tab.goto(address)
    for width in (phone["width"], 320):
        tab.set_viewport_size({"width": width, "height": 844})
        tab.evaluate(_OPEN_ALL)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_mode_is_dark(open_tab: Callable[..., Tab], address: str) -> None:
    shades = []
    for scheme in ("light", "dark"):
        tab = open_tab(color_scheme=scheme)
        tab.goto(address)
        shades.append(tab.evaluate(_SHADES))
    (page, ink), (dark_page, dark_ink) = shades
    assert min(page, dark_ink) > 200
    assert max(ink, dark_page) < 80


_SHADES = """() => {
  const style = getComputedStyle(document.body);
  return [style.backgroundColor, style.color].map(
    (one) => one.match(/\\d+/g).slice(0, 3).reduce((sum, value) => sum + Number(value), 0) / 3);
}"""


def test_tab_reaches_every_control_and_shows_where_it_is(tab: Tab, address: str) -> None:
    tab.goto(address)
    controls = tab.evaluate(_NUMBER_CONTROLS)
    assert controls > 3
    for number in range(controls):
        found, ring = tab.evaluate(_FOCUSED)
        assert (found, ring) == (str(number), True), tab.evaluate(
            "document.activeElement.outerHTML"
        )
        tab.keyboard.press("Tab")


_NUMBER_CONTROLS = """() => {
  const all = [...document.querySelectorAll(
    'a[href], button, input, select, summary, [tabindex="0"]')].filter(
    (one) => one.type !== 'radio' || one.checked);  // arrows move within a group
  const shown = all.filter(
    (one) => one.checkVisibility() && one.tabIndex >= 0 && one.type !== 'hidden');
  shown.forEach((one, i) => { one.dataset.number = i; });
  shown[0].focus();
  return shown.length;
}"""
_FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  return [one.dataset.number ?? null, ring];
}"""


def test_a_page_is_light(tab: Tab, address: str) -> None:
    tab.goto(address, wait_until="load")
    loaded = tab.evaluate(_LOADED)
    assert len(loaded) >= 2
    assert all(loaded)
    assert sum(loaded) < 150_000


_LOADED = """() => performance.getEntries()
  .filter((one) => one.entryType === 'navigation' || ['link', 'script'].includes(one.initiatorType))
  .map((one) => one.decodedBodySize)"""
