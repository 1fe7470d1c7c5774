"""The training loop."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from rankfield.encoders import RankingModel
from rankfield.errors import DataError, ImageError, InputError, RankfieldError, RecipeError
from rankfield.outputs import storage_errors
from rankfield.progress import progress
from rankfield.schema import RankingDataset, require_dataset
from rankfield.training.accelerator import end_run, make_accelerator, start_trackers
from rankfield.training.average import WeightAverage
from rankfield.training.batches import PairBatches, TrainingBatch
from rankfield.training.build import build_model
from rankfield.training.checkpoint import Progress, Snapshot
from rankfield.training.data_notes import note_data
from rankfield.training.dev_course import Measurement, note_outcome, note_warnings
from rankfield.training.dev_set import dev_set, mean_ndcg
from rankfield.training.interrupt import StopRequest
from rankfield.training.lora import merged
from rankfield.training.mining_schedule import MiningSchedule
from rankfield.training.optimizer import make_optimizer, schedule
from rankfield.training.precheck import check_batch_norm, check_dev_images, check_output
from rankfield.training.precision import run_precision
from rankfield.training.published_recipe import published_recipe
from rankfield.training.read_ahead import ReadAheadError, batches_ahead, require_shared_memory
from rankfield.training.recipe import Recipe
from rankfield.training.run_checkpoints import RunCheckpoints
from rankfield.training.run_folder import make_run_folder
from rankfield.training.run_inputs import IMAGES, TO_BE_FIXED, file_fingerprint, run_inputs
from rankfield.training.run_log import RunLog
from rankfield.training.sharded_checkpoint import shards_of
from rankfield.training.sharding import WholeModel, check_sharding
from rankfield.training.shards import unsharded
from rankfield.training.step import TrainingStep
from rankfield.training.wise import BaseMixture

__all__ = ["train"]

_HOW_OFTEN = ("trackers", "project", "log_every", "checkpoint_every", "checkpoint_keep")
_FREE_ON_RESUME: dict[str, Any] = {
    **dict.fromkeys(_HOW_OFTEN, True),
    "data": {
        *("dataset", "workers", "image_cache_mib", "image_disk_cache_mib", "text_disk_cache_mib")
    },
    "batch": {"gradient_cache", "gradient_checkpointing"},
}


def train(
    recipe: Recipe, dataset: RankingDataset, out: str | Path, *, resume: bool = False
) -> RankingModel:
    """Train a model as the recipe says and return the best one by dev nDCG@10.

    The base model is measured too, before the first step, and kept if no step is better. Without
    dev queries the last model is kept. The folder `out` gets `model/` (the best), `recipe.toml`,
    `log.jsonl`, TensorBoard files and, while it runs, `checkpoints/`. A resumed run goes on from
    the newest checkpoint that is whole, and ends with the same weights as one never stopped, to
    the bit on a CPU with the same number of threads and processes. A run that is refused leaves no
    folder. One that fails later leaves what it has, and a checkpoint if the data are the cause.

    Raises:
        InputError: something else in place of the recipe or the data set.
        RecipeError: the recipe does not fit the data, or the loss stops being finite.
        MissingExtraError: a tracker that is not installed.
        OutputError: `out` exists and `resume` is false, or it cannot be written.
        ModelError: nothing whole to resume from, or a checkpoint of another run.
        KeyboardInterrupt: after writing a checkpoint.
    """
    if not isinstance(recipe, Recipe):
        raise InputError(
            f"expected a recipe, found a {type(recipe).__name__}",
            where="recipe",
            remedy='Read it first: rankfield.load_recipe("recipe.toml").',
        )
    dataset = require_dataset(dataset)
    with storage_errors(Path(out)):
        return _Trainer(recipe, dataset, Path(out), resume).run()


class _Trainer:
    def __init__(self, recipe: Recipe, dataset: RankingDataset, out: Path, resume: bool) -> None:
        check_output(out, resume=resume)
        self.recipe, self.dataset, self.out, self.resume = recipe, dataset, out, resume
        self.accelerator = make_accelerator(recipe, out)
        # before the main process makes the folder that the others have just found missing
        self.accelerator.wait_for_everyone()
        self.log = RunLog(out / "log.jsonl", self.accelerator)
        # The mixture is made of the tuned weights, which are kept beside it.
        self.kept = out / ("tuned" if recipe.average.wise else "model")
        self.checkpoints = RunCheckpoints(
            out,
            self.kept,
            keep=recipe.checkpoint_keep,
            log=self.log,
            accelerator=self.accelerator,
            resume=resume,
            fsdp=recipe.fsdp,
        )
        processes = self.accelerator.num_processes
        if recipe.batch.size % processes:
            raise RecipeError(
                f"{recipe.batch.size} pairs cannot be shared by {processes} processes evenly",
                where="recipe, batch.size",
            )
        # Of millions of records that takes seconds, which building the model takes too.
        with ThreadPoolExecutor(1) as beside:
            fingerprint = beside.submit(dataset.fingerprint)
            self.model = build_model(recipe, dataset).to(self.accelerator.device)
        check_sharding(recipe, self.model)
        self.dev = dev_set(recipe.dev, dataset)
        self.mixture = BaseMixture(recipe, dataset, self.model.encoder, self.dev)
        self.can_share = not recipe.average.wise and bool(self.model.encoder.pretrained_weights())
        check_dev_images(self.dev, self.model)
        self.mining = MiningSchedule(recipe.negatives, dataset, out, resume=resume)
        rank = self.accelerator.process_index
        self.batches = PairBatches(recipe, dataset, self.model, rank=rank, processes=processes)
        require_shared_memory(self.batches, 0, workers=recipe.data.workers, processes=processes)
        settings = recipe.model_dump(mode="json", exclude=_FREE_ON_RESUME)
        self.progress = Progress(settings, fingerprint.result(), run_inputs(recipe, dataset))
        self.stop = StopRequest(self.accelerator)
        self.own_folder = self.has_work = False
        self.since_checkpoint = 0

    def run(self) -> RankingModel:
        for side in ("query", "document"):
            texts, disk = self.batches.texts(side), self.recipe.data.text_disk_cache_mib
            self.model.encoder.precompute(texts, side, disk_mib=disk)
        self.whole = WholeModel(self.model, self.accelerator, sharded=self.recipe.fsdp)
        optimizer = make_optimizer(self.model, self.recipe.optimizer)
        ema = self.recipe.average.ema
        self.average = WeightAverage(self.model, ema) if ema else None
        self.progress.unmeasured = self.dev is not None  # the base model
        if self.resume:
            self._load_checkpoint(optimizer)
        with unsharded(self.model):
            self.progress.precision = run_precision(
                self.recipe, self.model, self.accelerator, self.progress.precision
            )
        with self._nothing_half_written():
            if self.accelerator.is_main_process and not self.resume:
                make_run_folder(self.out, self.recipe)
                self.own_folder = True
                note_data(
                    self.log,
                    self.dataset,
                    self.recipe.dev,
                    self.dev,
                    skipped=self.batches.pairs.skipped,
                    further=bool(self.recipe.judgments),
                )
                if self.progress.precision:
                    self.log.write("precision", 0, {"encoders": self.progress.precision})
            self.step = TrainingStep(
                self.recipe,
                self.model,
                optimizer,
                scale=self.dataset.score_scale,
                accelerator=self.accelerator,
                precision=self.progress.precision,
                sharded=self.whole.sharded,
            )
            start_trackers(self.recipe, self.accelerator)
            try:
                with self.stop.listening():
                    self._loop()
                    if self.recipe.average.wise and self.accelerator.is_main_process:
                        device = self.accelerator.device
                        chosen = self.mixture.save(self.kept, self.out / "model", device)
                        self.log.write("wise", self.progress.step, chosen)
                # Only now is the model written, which every process loads.
                self.accelerator.wait_for_everyone()
            finally:
                end_run(self.accelerator)
        model = RankingModel.load(self.out / "model", allow_code=True)
        if self.accelerator.is_main_process:
            note_outcome(self.log, self.progress.step, model.metadata, wise=self.can_share)
        return model

    def _loop(self) -> None:
        recipe, total = self.recipe, self.recipe.optimizer.steps
        first = self.progress.step
        before = self.progress.seconds
        self.step.wrapped.train()
        self._measure()
        started = time.monotonic()
        with progress(f"train {recipe.name}", total, done=first, unit="steps") as advance:
            for number, batch in self._batches(first):
                values = self._step(number, batch)
                self.progress.step = number + 1
                self.since_checkpoint += 1
                self.progress.seconds = before + time.monotonic() - started
                last = number + 1 == total
                if (number + 1) % recipe.log_every == 0 or last:
                    self._log_step(values, first, started)
                self.progress.unmeasured = last or recipe.dev.due(number + 1)
                self._measure()
                due = recipe.checkpoint_every and (number + 1) % recipe.checkpoint_every == 0
                stopping = self.stop.requested() and not last
                self.checkpoints.note()
                if stopping or (due and not last):
                    self._checkpoint(wait=stopping)
                advance(1, f"loss {values['loss']:.3f}{self._best_text()}")
                if stopping:
                    raise KeyboardInterrupt
        self.checkpoints.wait()

    def _batches(self, first: int) -> Iterator[tuple[int, TrainingBatch]]:
        """Yield the steps that are left; where negatives change, a new loader begins."""
        total = self.recipe.optimizer.steps
        for steps, negatives in self.mining.spans(self.whole, self.accelerator, first, total):
            if negatives is not None:
                self.batches.use_negatives(negatives)
            check_batch_norm(self.batches, steps)
            if self.recipe.data.workers:
                self.checkpoints.wait()  # processes are forked, which no thread survives
            read = batches_ahead(
                self.batches,
                steps,
                workers=self.recipe.data.workers,
                processes=self.accelerator.num_processes,
                pinned=self.accelerator.device.type == "cuda",
            )
            yield from enumerate(read, steps.start)

    def _step(self, number: int, batch: TrainingBatch) -> dict[str, float]:
        values = self.step(number, batch)
        if self.average is not None:
            self.average.update(number)
        return values

    def _log_step(self, values: dict[str, float], first: int, started: float) -> None:
        step = self.progress.step
        seconds = time.monotonic() - started
        line = {
            **values,
            "learning_rate": self.recipe.optimizer.learning_rate
            * schedule(step - 1, self.recipe.optimizer),
            "seconds": round(self.progress.seconds, 3),
            "samples_per_second": round((step - first) * self.recipe.batch.size / seconds, 1),
        }
        self.log.write("train", step, line)
        self.has_work = True

    def _measure(self) -> None:
        """Measure dev nDCG@10, if that is due, and keep the model if it is the best so far."""
        if not self.progress.unmeasured:
            return
        if self.whole.sharded or self.accelerator.is_main_process:
            with self.whole.current(self.average) as model:
                if self.accelerator.is_main_process:
                    self._keep_best(model)
        self.progress.unmeasured = False

    def _keep_best(self, model: RankingModel) -> None:
        with merged(model):  # measure what is saved
            value = None
            if self.dev is not None:
                splits = self.dev.ndcg(model)
                value = mean_ndcg(splits)
                self.progress.course.append(Measurement(self.progress.step, splits))
                self.log.write("dev", self.progress.step, {"ndcg@10": value, "splits": splits})
                note_warnings(self.log, self.progress.course)
            best = self.progress.best
            if value is None or best is None or value > best:
                self.progress.best = value
                model.metadata = self._metadata()
                self.checkpoints.wait()  # one that is being written takes the best model with it
                model.save(self.kept, overwrite=True)

    def _metadata(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        if self.progress.precision:
            chosen["precision"] = self.progress.precision
        course = self.progress.course
        if course and course[0].step == 0:
            chosen["dev_splits"] = {"base": course[0].splits, "model": course[-1].splits}
        return chosen | {
            "recipe": published_recipe(self.recipe.model_dump(mode="json")),
            "data": {"name": self.dataset.name, "fingerprint": self.progress.fingerprint},
            "seed": self.recipe.seed,
            "step": self.progress.step,
            "dev_ndcg@10": self.progress.best,
        }

    def _best_text(self) -> str:
        best = self.progress.best
        return "" if best is None else f" · best dev nDCG@10 {best:.4f}"

    def _load_checkpoint(self, optimizer: torch.optim.Optimizer) -> None:
        self.progress = self.checkpoints.load(self.model, optimizer, self.progress, self.average)
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(self.progress.loss_scaler)

    def _checkpoint(self, *, wait: bool) -> None:
        self.accelerator.wait_for_everyone()
        optimizer = getattr(self.step.optimizer, "optimizer", self.step.optimizer)
        mined = self.mining.mined(self.progress.step)
        if mined is not None:
            self.progress.mined = {mined.name: file_fingerprint(mined)}
        if self.recipe.fsdp:
            tensors = shards_of(self.model, optimizer, self.average)
            self.checkpoints.write_shards(tensors, self.progress, mined)
        elif self.accelerator.is_main_process:
            if self.accelerator.scaler is not None:
                self.progress.loss_scaler = self.accelerator.scaler.state_dict()
            state = Snapshot.of(self.model, optimizer, self.progress, self.average)
            self.checkpoints.write(state, mined, wait=wait)

    @contextmanager
    def _nothing_half_written(self) -> Iterator[None]:
        """Remove a new run's folder if it fails before there is any work in it."""
        try:
            yield
        except BaseException as error:
            with suppress(RankfieldError):  # the first error is the one to report
                self.checkpoints.wait()
            kept = self._kept(error)
            names = ["checkpoints", "negatives"]
            if not self.progress.course or self.progress.course[-1].step:  # not the base model
                names += ["model", "tuned"]
            self.has_work = self.has_work or any((self.out / name).exists() for name in names)
            if self.own_folder and not self.has_work:
                shutil.rmtree(self.out, ignore_errors=True)
            if kept is not None:
                raise kept from error
            raise

    def _kept(self, error: BaseException) -> RankfieldError | None:
        """Write a checkpoint if the error can be fixed, and return the error with that remedy."""
        if not isinstance(error, DataError | ReadAheadError):
            return None
        if not self.since_checkpoint or self.accelerator.num_processes > 1:
            return None
        if isinstance(error, ImageError) and self.progress.inputs:
            self.progress.inputs[IMAGES] = TO_BE_FIXED
        self._checkpoint(wait=True)
        remedy = (
            f"{error.remedy} {self.progress.step:,} steps are kept: go on with --resume.".strip()
        )
        return type(error)(error.problem, where=error.where, remedy=remedy)
