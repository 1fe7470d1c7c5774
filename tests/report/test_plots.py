from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from rankfield.errors import InputError
from rankfield.report import weights_figure
from rankfield.report.plots import bar_chart, interval_chart, line_chart

SCORES = np.linspace(1, 100, 100)
COUNTS = np.arange(100) + 5
WEIGHTS = {"linear": SCORES / 100, "inverse": 1 / (101 - SCORES), "constant": np.ones(100)}


def test_weights_as_svg_and_png(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    for name in ("a.svg", "b.svg", "c.png"):
        weights_figure(tmp_path / name, scores=SCORES, counts=COUNTS, weights=WEIGHTS)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    words = {text.text for text in ET.parse(tmp_path / "a.svg").iter() if text.text}
    assert {"linear", "inverse", "constant", "score", "weight", "judgments"} <= words
    with Image.open(tmp_path / "c.png") as image:
        assert image.size == (1200, 720)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("scores", [[1.0], [0.0, 0.0], list(np.geomspace(1e-3, 1, 500))])
def test_weights_of_odd_data(tmp_path: Path, scores: list[float]) -> None:
    weights = {"exponential": np.exp(10 * np.asarray(scores)), "zero": np.zeros(len(scores))}
    path = tmp_path / "w.svg"
    weights_figure(path, scores=scores, counts=np.ones(len(scores)), weights=weights)
    assert path.stat().st_size > 1000


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "w.svg"
    with pytest.raises(InputError, match="equally long"):
        weights_figure(path, scores=[1, 2], counts=[1, 1], weights={"a": [1]})
    with pytest.raises(InputError, match="equally long"):
        weights_figure(path, scores=[], counts=[], weights={})
    with pytest.raises(InputError, match=r"\.svg, \.png or \.pdf"):
        weights_figure(tmp_path / "w.txt", scores=[1], counts=[1], weights={"a": [1]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("upright", [True, False])
def test_bars_carry_their_values(upright: bool) -> None:
    svg = bar_chart(
        ["In domain", "Zero-shot"],
        [("A", "slate", [0.5, None]), ("B", "accent", [0.75, 0.25])],
        width=6,
        upright=upright,
        description='a "quoted" <description>',
    )
    root = ET.fromstring(svg.replace("xlink:href", "href"))
    words = {element.text for element in root.iter() if element.text}
    assert {"0.50", "0.75", "0.25", "–"} <= words
    assert root.get("aria-label") == 'a "quoted" <description>'
    assert "var(--slate)" in svg
    assert "var(--accent)" in svg
    assert "#0102" not in svg


def test_curves_of_one_point() -> None:
    svg = line_chart([("A", "slate", {10: 0.5})], y_label="loss", size=(4, 3), description="d")
    assert svg.startswith("<svg viewBox=")


def test_intervals_are_drawn_for_each_row_and_model() -> None:
    groups = [("In domain", ["1–3", "4"]), ("Zero-shot", ["1–3"])]
    means = [(0.5, 0.4, 0.6), (0.7, None, None), (None, None, None)]
    one = interval_chart(
        groups, [("A", "slate", means)], width=6, x_label="nDCG@10", description="a < b"
    )
    root = ET.fromstring(one.replace("xlink:href", "href"))
    assert root.attrib["aria-label"] == "a < b"
    assert "var(--slate)" in one
    words = "".join(root.itertext())
    assert all(word in words for word in ("In domain", "Zero-shot", "1–3", "nDCG@10"))
    two = interval_chart(
        groups,
        [("A", "slate", means), ("B", "accent", means)],
        width=6,
        x_label="nDCG@10",
        description="",
    )
    assert two.count("var(--accent)") == two.count("var(--slate)") == one.count("var(--slate)")
