"""A page of the documentation can be followed in a package that already has its example."""

from __future__ import annotations

from pathlib import Path

from scratch_package import apply_difference


def test_a_difference_that_was_applied_before_gives_the_same(tmp_path: Path) -> None:
    file = tmp_path / "table.py"
    file.write_text("import one\nTABLE = {\n    1: one,\n}\n", "utf-8")
    difference = "+import two\n TABLE = {\n+    2: two,\n"
    assert apply_difference(file, difference) == 2
    once = file.read_text("utf-8")
    assert once == "import one\nimport two\nTABLE = {\n    2: two,\n    1: one,\n}\n"
    assert apply_difference(file, difference) == 2
    assert file.read_text("utf-8") == once
