"""Grading by key in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Tab = Any
"""A page of Playwright."""

PRESSED = ".grades [aria-pressed=true]"


def begin(tab: Tab, rater: str) -> None:
    """Type a name and open the first query."""
    tab.goto("/grade")
    tab.get_by_role("textbox", name="Your name").fill(rater)
    with tab.expect_navigation():
        tab.get_by_role("button", name="Begin").click()
    with tab.expect_navigation():
        tab.locator(".queries tbody a").first.click()


def labels(tab: Tab) -> dict[str, str]:
    """Return document → what is pressed."""
    found: dict[str, str] = tab.evaluate(
        "selector => Object.fromEntries([...document.querySelectorAll(selector)]"
        ".map((one) => [one.closest('li').dataset.doc, one.textContent]))",
        PRESSED,
    )
    return found


def current(tab: Tab) -> str:
    found: str = tab.locator(".grid > .current").get_attribute("data-doc")
    return found


def pressed(tab: Tab, count: int) -> None:
    """Wait until so many documents have a grade."""
    tab.wait_for_function("n => document.getElementById('done').textContent == n", arg=count)


def kept(shop: Path, rater: str) -> list[dict[str, Any]]:
    lines = (shop / "feedback" / "judgments.jsonl").read_text("utf-8").splitlines()
    return [one for one in map(json.loads, lines) if one["rater"] == rater]


def test_digits_grade_and_z_takes_back(tab: Tab, shop: Path) -> None:
    begin(tab, "anna")
    order = tab.locator("#documents > li").evaluate_all("all => all.map((one) => one.dataset.doc)")
    assert len(order) > 10  # of both models
    assert current(tab) == order[0]
    for key in ("4", "0", "u"):
        tab.keyboard.press(key)
    pressed(tab, 3)
    assert labels(tab) == dict(zip(order, ("4", "0", "?"), strict=False))
    assert current(tab) == order[3]
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowUp")
    assert current(tab) == order[1]
    tab.keyboard.press("3")
    tab.wait_for_function(f"() => document.querySelectorAll('{PRESSED}')[1].textContent == '3'")
    tab.keyboard.press("z")  # the second document is 0 again
    tab.wait_for_function(f"() => document.querySelectorAll('{PRESSED}')[1].textContent == '0'")
    tab.keyboard.press("z")
    pressed(tab, 2)
    tab.get_by_role("status").filter(has_text="Undone").wait_for()
    assert labels(tab) == {order[0]: "4", order[1]: "0"}
    tab.reload()
    assert labels(tab) == {order[0]: "4", order[1]: "0"}
    assert current(tab) == order[2]
    buttons = tab.locator(".grades").first.locator("button[value]:not([value=''])").all()
    score = {one.inner_text(): float(one.get_attribute("value")) for one in buttons}
    verdicts = [(one["verdict"], one["score"]) for one in kept(shop, "anna")]
    assert verdicts == [
        ("grade", score["4"]),
        ("grade", score["0"]),
        ("cannot_say", None),
        ("grade", score["3"]),
        ("undo", score["0"]),
        ("undo", None),
    ]
    first = tab.get_by_role("heading", level=1).inner_text()
    with tab.expect_navigation():
        tab.keyboard.press("n")
    assert tab.get_by_role("heading", level=1).inner_text() != first


def test_two_raters_grade_at_once(open_tab: Callable[..., Tab], shop: Path) -> None:
    one, other = open_tab(), open_tab()
    begin(one, "bela")
    begin(other, "carla")
    documents = "all => all.map((one) => one.dataset.doc)"
    orders = [tab.locator("#documents > li").evaluate_all(documents) for tab in (one, other)]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    for key in ("4", "3", "2"):
        one.keyboard.press(key)
        other.keyboard.press("1")
    for tab, order, keys in ((one, orders[0], "432"), (other, orders[1], "111")):
        pressed(tab, 3)
        expected = dict(zip(order, keys, strict=False))
        assert labels(tab) == expected
        tab.reload()
        assert labels(tab) == expected
    assert [len(kept(shop, rater)) for rater in ("bela", "carla")] == [3, 3]
    with one.expect_navigation():
        one.get_by_role("link", name="All queries").click()
    cells = one.locator(".queries tbody tr").first.locator("td")
    own, by_all = (int(text) for text in cells.all_inner_texts())
    assert own == 3
    assert by_all >= 6


def test_a_click_grades_and_what_is_not_kept_is_said(
    open_tab: Callable[..., Tab], shop: Path
) -> None:
    tab = open_tab(ignore_console=True)
    begin(tab, "frida")
    tab.locator("#documents > li").nth(2).get_by_role("button", name="2").click()
    pressed(tab, 1)
    tab.route("**/grade/judgments", lambda one: one.abort())
    tab.keyboard.press("1")
    tab.get_by_role("alert").filter(has_text="Not kept").wait_for()
    assert len(labels(tab)) == len(kept(shop, "frida")) == 1
