"""Places are said from the folder of a file, and never where on this machine that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankfield.nearby import bare_name, is_absolute, nearby_place, nearby_text


def test_a_neighbour_is_found_again(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "a.json"
    for place in (tmp_path / "shop", tmp_path / "runs" / "gcl" / "model", tmp_path / "runs"):
        text = nearby_text(place, file)
        assert not Path(text).is_absolute()
        assert str(tmp_path) not in text
        assert nearby_place(text, file) == place.resolve()
    assert nearby_text(tmp_path / "shop", file) == "../shop"


def test_a_moved_folder_is_found_where_it_is_now(tmp_path: Path) -> None:
    text = nearby_text(tmp_path / "old" / "shop", tmp_path / "old" / "r.json")
    assert nearby_place(text, tmp_path / "new" / "r.json") == (tmp_path / "new" / "shop").resolve()


def test_what_lies_far_away_is_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearby_text("", tmp_path / "r.json") == ""
    assert nearby_text("/elsewhere/shop", tmp_path / "r.json") == ""
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "me"))
    assert (
        nearby_text(tmp_path / "home" / "other" / "shop", tmp_path / "home" / "me" / "r.json") == ""
    )
    assert (
        nearby_text(tmp_path / "home" / "me" / "shop", tmp_path / "home" / "me" / "r.json")
        == "shop"
    )


@pytest.mark.parametrize(
    "text", ["/etc", "C:\\data", "\\\\server\\share", "//server/share", "~/x", "", "a\0b", None, 3]
)
def test_absolute_paths_are_not_followed(text: object, tmp_path: Path) -> None:
    assert nearby_place(text, tmp_path / "r.json") is None


def test_names_of_paths_of_any_system() -> None:
    assert [bare_name(t) for t in ("/a/b/", "C:\\a\\b", "b", "../b")] == ["b"] * 4
    assert is_absolute("\\\\server\\share")
    assert not is_absolute("a/b")
    assert not is_absolute("openai/clip")
