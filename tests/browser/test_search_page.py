"""The search page in a real browser."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

Tab = Any
"""A page of Playwright."""


def titles(tab: Tab) -> list[str]:
    found: list[str] = tab.locator(".grid h2").all_inner_texts()
    return found


def asked(tab: Tab) -> dict[str, list[str]]:
    return parse_qs(urlsplit(tab.url).query)


def answer(service: str, **body: Any) -> list[str]:
    """Return the titles that the search route finds."""
    wanted = {"index": "shop", "limit": 24, **body}
    found = httpx2.post(f"{service}/v1/search", json=wanted, trust_env=False, timeout=60)
    assert found.status_code == 200, found.text
    return [hit["document"]["title"] for hit in found.json()["hits"]]


def search(tab: Tab, words: str) -> None:
    tab.get_by_role("searchbox", name="Words").fill(words)
    with tab.expect_navigation():
        tab.get_by_role("button", name="Search").click()


def test_words_are_searched_for_and_the_back_button_works(tab: Tab, service: str) -> None:
    tab.goto("/")
    assert tab.evaluate("document.activeElement.name") == "q"
    search(tab, "red mug")
    assert titles(tab) == answer(service, query="red mug")
    loaded = "i => i.decode().then(() => i.naturalWidth)"
    assert tab.locator(".grid img").first.evaluate(loaded) > 1
    search(tab, "blue lamp")
    assert titles(tab) == answer(service, query="blue lamp")
    tab.go_back()
    assert tab.get_by_role("searchbox", name="Words").input_value() == "red mug"
    assert titles(tab) == answer(service, query="red mug")
    tab.get_by_role("combobox", name="Index").select_option("next")
    search(tab, "red mug")
    assert titles(tab) == answer(service, query="red mug", index="next")
    with tab.expect_navigation():
        tab.get_by_role("link", name="Next").click()
    assert tab.get_by_text("25–48 of 60 matching").is_visible()


def test_an_image_is_picked_dropped_and_pasted(tab: Tab, service: str, shop: Path) -> None:
    photo = next((shop / "data" / "images").rglob("*.jpg"))
    content = base64.b64encode(photo.read_bytes()).decode()
    expected = answer(service, query=[{"image": f"data:image/jpeg;base64,{content}"}])
    tab.goto("/")
    with tab.expect_navigation():
        tab.locator("input[type=file]").set_input_files(photo)
    assert titles(tab) == expected
    assert tab.get_by_role("img", name="The image that you added").is_visible()
    picked = tab.url
    for event in ("drop", "paste"):
        tab.goto("/")
        with tab.expect_navigation():
            tab.evaluate(_GIVE, [event, content])
        assert tab.url == picked
        assert titles(tab) == expected
    tab.goto("/")
    tab.locator("input[type=file]").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"no image"}
    )
    tab.get_by_text("That is no image.").wait_for()


_GIVE = """([event, content]) => {
  const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], 'photo.jpg', { type: 'image/jpeg' }));
  const given = event === 'drop' ? new DragEvent(event, { dataTransfer: data, bubbles: true })
    : new ClipboardEvent(event, { clipboardData: data, bubbles: true });
  document.body.dispatchEvent(given);
}"""


def test_parts_have_sliders_from_less_to_more(tab: Tab, service: str) -> None:
    tab.goto("/?index=shop&q=red+mug")
    tab.get_by_role("textbox", name="Further words").fill("glass")
    with tab.expect_navigation():
        tab.get_by_role("button", name="Apply").first.click()
    less = [{"text": "red mug"}, {"text": "glass", "weight": -0.5}]
    assert titles(tab) == answer(service, query=less)
    slider = tab.get_by_role("slider", name="glass, from less")
    slider.focus()
    with tab.expect_navigation():
        slider.press("End")
    assert asked(tab)["weight"] == ["1"]
    assert titles(tab) == answer(service, query=[{"text": "red mug"}, {"text": "glass"}])
    assert tab.locator("output").first.inner_text() == "+1"
    with tab.expect_navigation():
        tab.get_by_role("link", name="More like").nth(2).click()
    assert asked(tab)["kind"] == ["text", "like"]
    with tab.expect_navigation():
        tab.get_by_role("link", name="Remove glass").click()
    assert asked(tab)["kind"] == ["like"]


def test_filters_come_from_the_data_and_narrow_what_is_found(
    open_tab: Callable[..., Tab], service: str
) -> None:
    tab = open_tab(ignore_console=True)  # which shows the status 422
    tab.goto("/?index=shop&q=red+mug")
    box = tab.locator("[name='is.audience']").first
    audience = box.get_attribute("value")
    count = int(box.locator("xpath=..").locator(".muted").inner_text())
    with tab.expect_navigation():
        box.check()
    assert tab.get_by_text(f"of {count} matching").is_visible()
    assert titles(tab) == answer(service, query="red mug", filter=f"audience = '{audience}'")
    tab.get_by_role("textbox", name="price, at most").fill("50")
    with tab.expect_navigation():
        tab.get_by_role("textbox", name="price, at most").press("Enter")
    expression = f"audience = '{audience}' and price <= 50"
    assert titles(tab) == answer(service, query="red mug", filter=expression)
    with tab.expect_navigation():
        tab.get_by_role("link", name="Remove all filters").first.click()
    assert tab.get_by_text("of 60 matching").is_visible()
    tab.get_by_role("textbox", name="Filter expression").fill("price <")
    with tab.expect_response(lambda one: one.status == 422):
        tab.get_by_role("textbox", name="Filter expression").press("Enter")
    assert "filter" in tab.get_by_role("alert").inner_text()


def test_a_score_is_explained_in_its_place(tab: Tab) -> None:
    tab.goto("/?index=shop&q=red+mug&kind=text&part=glass&weight=-0.3&hybrid=1")
    score = tab.locator("#rank-3 .score").inner_text().split()[1]
    with tab.expect_navigation():
        tab.get_by_role("link", name="Why this score").nth(2).click()
    told = tab.locator("#rank-3 .explanation")
    assert told.get_by_role("heading").inner_text() == f"Score {score}"
    added = [float(one) for one in told.locator("> ul > li > .term > .adds").all_inner_texts()]
    assert abs(sum(added) - float(score)) < 1e-4 * len(added)
    assert tab.locator("#rank-3").evaluate("one => one.getBoundingClientRect().top") < 900
    with tab.expect_navigation():
        tab.get_by_role("link", name="Close the explanation").click()
    assert tab.locator(".explanation").count() == 0


def test_an_address_is_shared_with_all_that_was_asked(
    open_tab: Callable[..., Tab], shop: Path
) -> None:
    mine, other = open_tab(), open_tab()
    mine.goto("/?index=next&q=red+mug&kind=text&part=glass&weight=-0.4&min.price=10&diversity=0.3")
    with mine.expect_navigation():
        photo = next((shop / "data" / "images").rglob("*.jpg"))
        mine.locator("input[type=file]").set_input_files(photo)
    other.goto(mine.url)
    assert titles(other) == titles(mine)
    assert len(titles(mine)) == 24
    for role, name, value in (
        ("searchbox", "Words", "red mug"),
        ("textbox", "price, at least", "10"),
        ("slider", "glass, from less", "-0.4"),
        ("slider", "Diversity", "0.3"),
        ("combobox", "Index", "next"),
    ):
        assert other.get_by_role(role, name=name).input_value() == value
    assert other.get_by_role("img", name="The image that you added").is_visible()


def test_plain_search_works_without_a_script(open_tab: Callable[..., Tab], service: str) -> None:
    tab = open_tab(java_script_enabled=False)
    tab.goto("/")
    search(tab, "red mug")
    assert titles(tab) == answer(service, query="red mug")
    tab.get_by_text("Filters and order").click()
    box = tab.locator("[name='is.audience']").first
    audience = box.get_attribute("value")
    box.check()
    with tab.expect_navigation():
        tab.get_by_role("button", name="Apply").last.click()
    assert titles(tab) == answer(service, query="red mug", filter=f"audience = '{audience}'")
    with tab.expect_navigation():
        tab.get_by_role("link", name="Why this score").first.click()
    assert re.match(r"Score -?\d", tab.locator(".explanation h3").inner_text())
    assert not tab.locator(".pick").is_visible()
