"""A shop with images that is served with two models, and tabs of a real browser that look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from chromium import PATIENCE, browser, missing
from rankfield.encoders import RankingModel
from rankfield.index import build_index
from rankfield.synthetic import sample_shop
from served_process import served
from tiny_models import tiny_clip

Tab = Any
"""A page of Playwright."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    if reason := missing():
        for item in items:
            if item.path.is_relative_to(here):
                item.add_marker(pytest.mark.skip(reason=f"browser tests: {reason}"))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `data`, and `model` and `index` of two models."""
    root = tmp_path_factory.mktemp("browsed")
    data = sample_shop(root / "data", documents=60, queries=6, per_query=20, workers=1)
    torch.manual_seed(0)
    for name, layers in (("index", 2), ("next", 1)):
        place = tiny_clip(root / f"clip-{name}", layers=layers)
        model = RankingModel.from_pretrained(place, dataset=data, device="cpu")
        model.save(root / f"model-{name}")
        build_index(root / f"model-{name}", data, root / name)
    return root


@pytest.fixture(scope="session")
def service(shop: Path) -> Iterator[str]:
    """Yield the address of a service with both indexes, `shop` and `next`."""
    with served(shop, f"next={shop / 'next'}", "--data", str(shop / "feedback")) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start the browser."""
    with browser() as started:
        yield started


@pytest.fixture
def open_tab(chromium: Any, service: str) -> Iterator[Callable[..., Tab]]:
    """Yield what opens a tab of a visitor's own; a fault of a script or a foreign request fails."""
    contexts: list[Any] = []
    faults: list[str] = []

    def said(message: Any) -> None:
        if message.type == "error":
            faults.append(message.text)

    def asked(request: Any) -> None:
        if not request.url.startswith((f"{service}/", "data:", "about:")):
            faults.append(request.url)

    def opened(*, ignore_console: bool = False, **options: Any) -> Tab:
        settings = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
        context = chromium.new_context(base_url=service, **{**settings, **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: faults.append(f"script: {error}"))
        tab.on("request", asked)
        if not ignore_console:
            tab.on("console", said)
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    """Return a tab of a desktop."""
    return open_tab()
