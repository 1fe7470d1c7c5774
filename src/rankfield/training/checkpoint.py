"""Checkpoints of a running training: safetensors and JSON, never a pickle."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file
from torch import Tensor, nn

from rankfield.errors import ModelError
from rankfield.files import write_json
from rankfield.messages import first_line
from rankfield.settings import present_words
from rankfield.training.average import WeightAverage
from rankfield.training.dev_course import Measurement
from rankfield.training.recipe import Recipe
from rankfield.training.run_inputs import FORMER_NAMES, TO_BE_FIXED, file_fingerprint

__all__ = ["Progress", "Snapshot", "does_not_load", "load_checkpoint", "read_progress"]


@dataclass
class Progress:
    """How far a run has come.

    `recipe`, `fingerprint` and `inputs` (of `run_inputs`; None in checkpoints of earlier versions)
    tell whether a checkpoint belongs to the run that loads it; `mined` holds the file of negatives
    that the run mined itself, and its fingerprint. `unmeasured` says that dev is still to be
    measured after the last step, `course` what was measured (empty in checkpoints of earlier
    versions); `loss_scaler` is the state of fp16's loss scaling, empty in other precisions;
    `precision` is what "auto" came to, or "".
    """

    recipe: dict[str, Any]
    fingerprint: str
    inputs: dict[str, str] | None = None
    mined: dict[str, str] = field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    unmeasured: bool = False
    course: list[Measurement] = field(default_factory=list)
    loss_scaler: dict[str, Any] = field(default_factory=dict)
    precision: str = ""


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint holds of weights, optimiser and progress.

    There is no random state to save: each step seeds itself from the seed and its number.
    """

    tensors: dict[str, dict[str, Tensor]]
    progress: dict[str, Any]

    @classmethod
    def of(
        cls,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        progress: Progress,
        average: WeightAverage | None = None,
    ) -> Snapshot:
        """Return the state as it is now; its tensors are those that training goes on to change."""
        state = optimizer.state_dict()["state"]
        moments = {f"{i}.{name}": v for i, values in state.items() for name, v in values.items()}
        tensors = {"model": _distinct(model.state_dict()), "optimizer": moments}
        if average is not None:
            tensors["average"] = average.state()
        return cls(tensors, asdict(progress))

    @property
    def bytes(self) -> int:
        """How much memory the tensors take."""
        return sum(t.nbytes for tensors in self.tensors.values() for t in tensors.values())

    def copied(self) -> Snapshot:
        """Return copies in the main memory, which training does not change."""
        copies = {
            part: {name: t.detach().to("cpu", copy=True) for name, t in tensors.items()}
            for part, tensors in self.tensors.items()
        }
        return replace(self, tensors=copies)

    def write(self, folder: Path) -> None:
        """Write the files of a checkpoint into an empty folder.

        Raises:
            OSError, SafetensorError: the disk is full or failed.
        """
        for part, tensors in self.tensors.items():
            plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
            save_file(plain, folder / f"{part}.safetensors")
        write_json(folder / "progress.json", self.progress)


def _distinct(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out further names of one tensor, which `load_model` finds by itself."""
    found: dict[tuple[Any, ...], str] = {}
    for name, tensor in state.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride())
        found.setdefault(place if tensor.numel() else (name,), name)
    return {name: state[name] for name in found.values()}


def load_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    expected: Progress,
    average: WeightAverage | None = None,
) -> Progress:
    """Read a checkpoint into `model`, `optimizer` and `average` and return its progress.

    Raises:
        ModelError: as `read_progress`, or it is of another model or damaged.
    """
    found = read_progress(folder, expected)
    try:
        load_model(model, str(folder / "model.safetensors"))
        _load_optimizer(optimizer, load_file(folder / "optimizer.safetensors"))
        if average is not None:
            average.load(load_file(folder / "average.safetensors"))
    except (RuntimeError, ValueError, SafetensorError, OSError) as error:
        raise does_not_load(folder, first_line(error)) from error
    return found


def does_not_load(folder: Path, reason: str) -> ModelError:
    """Return the error of a checkpoint whose tensors the model and the optimiser do not take."""
    return ModelError(
        f"the checkpoint is of another model or damaged ({reason})",
        where=str(folder),
        remedy="Start a new run in another folder.",
    )


def read_progress(folder: Path, expected: Progress) -> Progress:
    """Return the progress of a checkpoint, if the run that goes on is the one that wrote it.

    Raises:
        ModelError: there is none, it is of another recipe or data set, a file that the run reads
            has changed, or it is damaged.
    """
    path = folder / "progress.json"
    if not path.is_file():
        raise ModelError(
            "there is no checkpoint to resume from",
            where=str(folder),
            remedy="Start the run without --resume.",
        )
    try:
        found = TypeAdapter(Progress).validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "top level"
        raise ModelError(
            f"damaged checkpoint ({first['msg']})", where=f"{path}, {place}"
        ) from error
    _check_same_run(found, expected, folder)
    _check_inputs(found, expected, folder)
    found.inputs = expected.inputs
    return found


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Load AdamW's state, which torch itself does not check.

    Raises:
        ValueError: it is of other parameters, or a part of it is missing.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for number, values in state.items():
        if not 0 <= number < len(parameters):
            raise ValueError(f"the optimiser has no parameter {number}")
        shape = parameters[number].shape
        expected = {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}
        if {name: value.shape for name, value in values.items()} != expected:
            raise ValueError(f"the optimiser's state of parameter {number} is of another shape")
        # Fused AdamW goes through memory: moments must lie there as their parameter does.
        for name in ("exp_avg", "exp_avg_sq"):
            values[name] = torch.empty_like(parameters[number]).copy_(values[name])
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _check_same_run(found: Progress, expected: Progress, folder: Path) -> None:
    if found.fingerprint != expected.fingerprint:
        raise ModelError(
            f"the checkpoint was trained on other data (fingerprint {found.fingerprint}, "
            f"now {expected.fingerprint})",
            where=str(folder),
            remedy="Resume with the data set as it was, or start a new run in another folder.",
        )
    # Of a run by an earlier version: former words, and keys that it lacked at their defaults.
    defaults = _flat(Recipe().model_dump(mode="json"))
    before = defaults | _flat(present_words(found.recipe, Recipe))
    for key, value in _flat(expected.recipe).items():
        if before.get(key) != value:
            raise ModelError(
                f"the checkpoint is of another recipe: {key!r} was {before.get(key)!r}, "
                f"now {value!r}",
                where=str(folder),
                remedy="Resume with the run's own recipe.toml, or start a new run.",
            )


def _check_inputs(found: Progress, expected: Progress, folder: Path) -> None:
    """Refuse to go on where an input of the run has changed.

    Call it after the recipes were compared: then both read the same names.
    """
    now = (expected.inputs or {}) | _mined_now(found, folder)
    inputs = {FORMER_NAMES.get(k, k): v for k, v in (found.inputs or {}).items()}
    before = now if found.inputs is None else inputs | found.mined
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) not in (now.get(name), TO_BE_FIXED):
            raise ModelError(
                f"is not what it was when the run began (fingerprint "
                f"{before.get(name, 'none')}, now {now.get(name, 'none')})",
                where=name,
                remedy="Put it back as it was, or start a new run in another folder.",
            )


def _mined_now(found: Progress, folder: Path) -> dict[str, str]:
    mined = folder / "negatives"
    if not mined.is_dir():  # of an earlier version
        mined = folder.parent / "negatives"
    return {name: file_fingerprint(mined / Path(name).name) for name in found.mined}


def _flat(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return section.key → value."""
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat
