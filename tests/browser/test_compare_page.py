"""Comparing models in a real browser."""

from __future__ import annotations

import re
from typing import Any

Tab = Any
"""A page of Playwright."""


def column(tab: Tab, letter: str) -> Tab:
    return tab.locator(f"section[aria-labelledby=column-{letter}]")


def ids(tab: Tab, letter: str) -> list[str]:
    found: list[str] = column(tab, letter).locator("h3").all_inner_texts()
    return [one.split(maxsplit=1)[1] for one in found]


def test_two_models_and_a_setting_stand_side_by_side(tab: Tab) -> None:
    tab.goto("/compare")
    tab.get_by_role("searchbox", name="Words").fill("red mug")
    tab.get_by_label("Index of B").select_option("next")
    tab.get_by_label("Index of C").select_option("shop")
    tab.get_by_role("group", name="C").get_by_label("Words count too").check()
    with tab.expect_navigation():
        tab.get_by_role("button", name="Compare").click()
    first, other = ids(tab, "A"), ids(tab, "B")
    assert len(first) == len(other) == len(ids(tab, "C")) == 10
    common = len({*first} & {*other})
    assert f"Overlap@10 with B\n{common / 10:.2f}" in column(tab, "A").inner_text()
    for rank, title in enumerate(other, 1):
        moved = column(tab, "B").locator(".move").nth(rank - 1).inner_text()
        if title in first:
            by = first.index(title) + 1 - rank
            assert moved == ("=" if by == 0 else f"{'↑' if by > 0 else '↓'}{abs(by)}")
        else:
            assert re.fullmatch(r"new|↑\d+", moved)
    address = tab.url
    tab.goto("/")
    tab.go_back()
    assert tab.url == address
    assert ids(tab, "B") == other


def test_n_and_p_step_through_the_graded_queries(tab: Tab) -> None:
    tab.goto("/compare?index.1=shop&index.2=next")
    with tab.expect_navigation():
        tab.get_by_role("link", name="First query of the set").first.click()
    titles = [tab.get_by_role("heading", level=1).inner_text()]
    for _ in range(2):
        with tab.expect_navigation():
            tab.keyboard.press("n")
        titles.append(tab.get_by_role("heading", level=1).inner_text())
        measured = column(tab, "A").locator("dd").first.inner_text()
        assert re.match(r"[01]\.\d{3} \d+ of \d+ judged", measured)
    with tab.expect_navigation():
        tab.keyboard.press("p")
    assert tab.get_by_role("heading", level=1).inner_text() == titles[1] != titles[2]
