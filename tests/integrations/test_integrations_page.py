"""The scripts of docs/integrations.md run, with a model made on the spot and without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rankfield.report.log import read_log
from tiny_sentence_transformer import tiny_sentence_transformer

pytest.importorskip("datasets")

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"


@pytest.mark.filterwarnings("ignore")  # of the other libraries
def test_the_scripts_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    tiny_sentence_transformer(tmp_path / "tiny").save(str(tmp_path / "my-model"))
    blocks = re.findall(r"^```python no-run\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 7
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102  the page's own code
    assert 0 < names["found"]["dev_nDCG@10"] <= 1
    names["trainer"].args.logging_steps = 10
    names["trainer"].train()  # with the log's callback
    assert list(read_log(tmp_path / "run" / "log.jsonl").loss) == [10, 20]


def test_the_change_is_what_the_whole_script_has() -> None:
    text = PAGE.read_text("utf-8")
    before, after = re.findall(r"^```python no-run\n(.*?)^```$", text, re.M | re.S)[:2]
    diff = re.findall(r"^```diff\n(.*?)^```$", text, re.M | re.S)[0].splitlines()
    for line in diff:
        if line.startswith("-"):
            assert line[1:] in before
    for name in (
        "GradedRetrievalEvaluator.of_dataset",
        "batch_sampler",
        "with_weights(train)",
        "RankedLoss(model)",
    ):
        assert any(name in line for line in diff if line.startswith("+"))
        assert name in after
