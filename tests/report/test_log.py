from __future__ import annotations

from pathlib import Path

import pytest

from rankfield.errors import InputError
from rankfield.report.log import read_log


def test_steps_logged_twice_count_once_and_nan_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"event":"train","step":20,"loss":3.0}\n'
        '{"event":"train","step":40,"loss":2.0}\n\n'
        '{"event":"train","step":40,"loss":2.5,"samples_per_second":300.0}\n'
        '{"event":"train","step":60,"loss":NaN}\n'
        '{"event":"dev","step":40,"ndcg@10":0.5}\n'
    )
    log = read_log(path)
    assert log.loss == {20: 3.0, 40: 2.5}
    assert log.dev == {40: 0.5}
    assert log.facts["samples_per_second"] == 300.0


def test_a_line_cut_short_by_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"event":"train","step":20,"loss":3.0}\n{"event":"tra')
    assert read_log(path).loss == {20: 3.0}


def test_absurd_numbers_and_nesting_are_left_out_or_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    huge = "9" * 400
    path.write_text(
        f'{{"event":"train","step":20,"loss":{huge},"seconds":{huge}}}\n'
        '{"event":"train","step":40,"loss":2.0,"seconds":1e999}\n'
    )
    log = read_log(path)
    assert log.loss == {40: 2.0}
    assert "seconds" not in log.facts
    for line in ("[" * 100_000, '{"seconds":' + "9" * 5000 + "}"):
        path.write_text(line + "\n{}\n")
        with pytest.raises(InputError, match="line 1: expected a JSON object"):
            read_log(path)


def test_what_is_not_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("step 1\nstep 2\n")
    with pytest.raises(InputError, match=r"log\.txt, line 1: expected a JSON object"):
        read_log(path)
    for line in ("[" * 100_000, f'{{"step": {"9" * 5000}}}'):
        path.write_text(f"{line}\nstep 2\n")
        with pytest.raises(InputError, match=r"log\.txt, line 1: expected a JSON object"):
            read_log(path)
    with pytest.raises(InputError, match="No such file"):
        read_log(tmp_path / "absent")


def test_the_recipe_beside_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.touch()
    assert read_log(log).recipe == {}
    (tmp_path / "recipe.toml").write_text("seed = 3")
    assert read_log(log).recipe == {"seed": 3}
    (tmp_path / "recipe.toml").write_text("seed =")
    with pytest.raises(InputError, match=r"recipe\.toml: not valid TOML"):
        read_log(log)


@pytest.mark.parametrize("line", ["[" * 5000 + "]" * 5000, '{"step": ' + "9" * 5000 + "}"])
def test_a_line_that_is_absurd(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f'{line}\n{{"step": 1}}\n')
    with pytest.raises(InputError, match=r"log\.jsonl, line 1: expected a JSON object"):
        read_log(path)


def test_a_loss_that_no_float_holds_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [
        f'{{"event": "train", "step": {n}, "loss": {loss}}}'
        for n, loss in enumerate(["NaN", "1" + "0" * 400, "1e999", "0.5"])
    ]
    path.write_text("\n".join(lines))
    assert read_log(path).loss == {3: 0.5}
