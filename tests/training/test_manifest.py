"""Any change of a file that a manifest names is noticed."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from damaging import DAMAGES, damaged_at_random
from rankfield.training.manifest import MANIFEST, SEAL, damage, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    (folder / "best").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 20)
    (folder / "best" / "rankfield.json").write_text("{}", "utf-8")
    (folder / "empty").touch()
    write_manifest(folder)
    assert damage(folder) is None
    return folder


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_damage_is_noticed(folder: Path, kind: str) -> None:
    chance = random.Random(0)
    for number in range(40):
        copy = folder.with_name(str(number))
        shutil.copytree(folder, copy)
        name = damaged_at_random(copy, kind, chance)
        found = damage(copy)
        assert found is not None, (name, number)
        assert found.startswith(name) or name in (MANIFEST, SEAL)


def test_files_beside_those_of_the_manifest_do_no_harm(folder: Path) -> None:
    (folder / ".DS_Store").touch()
    assert damage(folder) is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../outside": {"bytes": 0, "sha256": ""}}, "outside of the folder"),
        ({"best": {"bytes": 0, "sha256": ""}}, "cannot be read"),
        ({"empty": {"bytes": "0", "sha256": ""}}, "is not a manifest"),
        ([], "is not a manifest"),
    ],
)
def test_a_manifest_of_a_stranger(folder: Path, files: object, message: str) -> None:
    text = json.dumps({"files": files})
    (folder / MANIFEST).write_text(text, "utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / SEAL).write_text(f"{digest}  {MANIFEST}\n", "utf-8")
    assert message in str(damage(folder))


def test_sha256sum_reads_the_seal(folder: Path) -> None:
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum")
    done = subprocess.run([program, "-c", SEAL], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
