"""Snapshots in a real browser: taken, plotted, paired."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Tab = Any
"""A page of Playwright."""


def take(tab: Tab, index: str, note: str) -> None:
    """Take a snapshot by the form, and wait until the page lists it."""
    form = tab.locator("#take")
    if not form.is_visible():
        tab.get_by_text("Take a snapshot").click()
    form.get_by_label("Index").select_option(index)
    form.get_by_label("Note").fill(note)
    form.get_by_role("button", name="Take").click()
    tab.get_by_role("cell", name=note, exact=True).wait_for()


def test_two_snapshots_are_taken_and_paired(tab: Tab) -> None:
    tab.goto("/results")
    take(tab, "shop", "as it was")
    take(tab, "next", "one layer less")
    values = {
        note: tab.get_by_role("row", name=note).locator("td").nth(4).inner_text().split()[0]
        for note in ("as it was", "one layer less")
    }
    assert tab.get_by_role("img", name="nDCG@10 of").locator("g").count() >= 2
    tab.get_by_role("row", name="as it was").get_by_role("radio", name="First").check()
    tab.get_by_role("row", name="one layer less").get_by_role("radio", name="Second").check()
    with tab.expect_navigation():
        tab.get_by_role("button", name="Compare").click()
    assert tab.get_by_role("heading", level=1).inner_text() == "From shop to next"
    assert tab.get_by_role("alert").count() == 0
    row = tab.get_by_role("row", name="nDCG@10").first.locator("td")
    assert [row.nth(at).inner_text() for at in (0, 1)] == list(values.values())
    assert re.fullmatch(r"[+-]\d\.\d{3} [+-]\d\.\d{3} to [+-]\d\.\d{3}", row.nth(2).inner_text())
    query = tab.get_by_role("region", name="Queries, table").get_by_role("link").first
    title = query.inner_text()
    with tab.expect_navigation():
        query.click()
    assert tab.get_by_role("heading", level=1).inner_text() == title
    assert tab.get_by_role("heading", level=2).all_inner_texts() == ["A shop", "B next"]
    tab.go_back()
    tab.go_back()
    assert tab.url.endswith("/results")


def test_what_fails_is_said(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(ignore_console=True)  # it says that the request failed
    tab.route("**/results/snapshots", lambda route: route.abort())
    tab.goto("/results")
    if not tab.locator("#take").is_visible():
        tab.get_by_text("Take a snapshot").click()
    tab.get_by_role("button", name="Take").click()
    tab.get_by_role("alert").filter(has_text="No snapshot: ").wait_for()
    assert tab.get_by_role("button", name="Take").is_enabled()
