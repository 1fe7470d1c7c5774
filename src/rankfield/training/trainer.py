"""The training loop."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn
from rankfield.encoders.encoded import Encoded
from rankfield.encoders.fusion import FieldBatch
from rankfield.errors import DataError, ImageError, RankfieldError, RecipeError
from rankfield.files import storage_errors
from rankfield.losses import gather_shares
from rankfield.progress import progress
from rankfield.schema import RankingDataset
from rankfield.training.accelerator import make_accelerator
from rankfield.training.augment import flip_and_shift
from rankfield.training.average import WeightAverage
from rankfield.training.batches import PairBatches, RawBatch
from rankfield.training.build import build_model
from rankfield.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from rankfield.training.data_notes import note_data
from rankfield.training.dev_set import dev_set
from rankfield.training.field_dropout import drop_fields
from rankfield.training.interrupt import on_interrupt
from rankfield.training.lora import LoraSection, merged
from rankfield.training.negatives import load_negatives
from rankfield.training.objective import Objective
from rankfield.training.optimizer import make_optimizer, schedule, set_learning_rates
from rankfield.training.precheck import check_dev_images, check_negatives, check_output
from rankfield.training.published_recipe import published_recipe
from rankfield.training.read_ahead import ReadAheadError, batches_ahead, require_shared_memory
from rankfield.training.recipe import Recipe
from rankfield.training.refresh import latest_negatives, refresh_negatives
from rankfield.training.run_folder import make_run_folder
from rankfield.training.run_inputs import PICTURES, TO_BE_FIXED, file_fingerprint, run_inputs
from rankfield.training.run_log import RunLog
from rankfield.training.wise import check_shares, choose_share

__all__ = ["train"]

_FREE_ON_RESUME: dict[str, Any] = {
    **dict.fromkeys(("trackers", "log_every", "checkpoint_every"), True),
    "data": {"dataset", "workers", "image_cache_mib"},
}


def train(
    recipe: Recipe, dataset: RankingDataset, out: str | Path, *, resume: bool = False
) -> RankingModel:
    """Train a model as the recipe says and return the best one by dev NDCG@10.

    The folder `out` gets `model/` (the best), `recipe.toml`, `log.jsonl`, TensorBoard files and,
    while it runs, `checkpoint/`. Without dev queries the last model is kept. A resumed run ends
    with the same weights as one never stopped, to the bit on a CPU with the same number of
    threads. A run that is refused leaves no folder behind, one that ends early what it has: where
    the data are at fault a checkpoint too.

    Raises:
        RecipeError: the recipe does not fit the data, or the loss stops being finite.
        MissingExtraError: a tracker that is not installed.
        OutputError: `out` exists and `resume` is false, or it cannot be written.
        ModelError: nothing to resume from, or a checkpoint of another run.
        KeyboardInterrupt: after writing a checkpoint.
    """
    with storage_errors(Path(out)):
        return _Trainer(recipe, dataset, Path(out), resume).run()


class _Trainer:
    def __init__(self, recipe: Recipe, dataset: RankingDataset, out: Path, resume: bool) -> None:
        check_output(out, resume=resume)
        self.recipe, self.dataset, self.out, self.resume = recipe, dataset, out, resume
        self.accelerator = make_accelerator(recipe, out)
        self.log = RunLog(out / "log.jsonl", self.accelerator)
        processes = self.accelerator.num_processes
        if recipe.batch.size % processes:
            raise RecipeError(
                f"{recipe.batch.size} pairs cannot be shared by {processes} processes evenly",
                where="recipe, batch.size",
            )
        self.model = build_model(recipe, dataset).to(self.accelerator.device)
        self.dev = dev_set(recipe.dev, dataset)
        check_shares(recipe.average, self.model.encoder, has_dev=self.dev is not None)
        check_dev_images(self.dev, self.model)
        self.negatives = check_negatives(recipe.negatives, dataset, resume=resume)
        rank = self.accelerator.process_index
        self.batches = PairBatches(recipe, dataset, self.model, rank=rank, processes=processes)
        require_shared_memory(self.batches, 0, workers=recipe.data.workers, processes=processes)
        self.objective = Objective(recipe.loss, dataset.score_scale)
        settings = recipe.model_dump(mode="json", exclude=_FREE_ON_RESUME)
        self.progress = Progress(settings, dataset.fingerprint(), run_inputs(recipe, dataset))
        self.stopping = self.own_folder = self.has_work = False
        self.since_checkpoint = 0
        # The choice between shares needs the tuned weights again: they stay beside its result.
        self.kept = out / ("tuned" if recipe.average.wise else "model")

    def run(self) -> RankingModel:
        optimizer = make_optimizer(self.model, self.recipe.optimizer)
        ema = self.recipe.average.ema
        self.average = WeightAverage(self.model, ema) if ema else None
        for side in ("query", "document"):
            self.model.encoder.precompute(self.batches.texts(side), side)
        if self.resume:
            checkpoint = self.out / "checkpoint"
            self.progress = load_checkpoint(
                checkpoint, self.model, optimizer, self.progress, self.average
            )
            self.log.cut(self.progress.step)
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(self.progress.loss_scaler)
        with self._nothing_half_written():
            if self.accelerator.is_main_process and not self.resume:
                make_run_folder(self.out, self.recipe)
                self.own_folder = True
                skipped = self.batches.pairs.skipped
                note_data(self.log, self.dataset, self.recipe.dev, self.dev, skipped=skipped)
            self.wrapped, self.optimizer = self.accelerator.prepare(self.model, optimizer)
            self.accelerator.init_trackers("tensorboard")
            try:
                with on_interrupt(self._ask_to_stop):
                    self._loop()
                    if self.recipe.average.wise:
                        self._keep_a_share_of_the_base()
                # Only then is the model written; ending the training ends the process group too.
                self.accelerator.wait_for_everyone()
            finally:
                self.accelerator.end_training()
        return RankingModel.load(self.out / "model")

    def _loop(self) -> None:
        recipe, total = self.recipe, self.recipe.optimizer.steps
        first = self.progress.step
        before = self.progress.seconds
        started = time.monotonic()
        self.wrapped.train()
        self._measure()
        with progress(f"train {recipe.name}", total, done=first, unit="steps") as advance:
            for step, batch in self._batches(first):
                values = self._step(step, batch)
                self.progress.step = step + 1
                self.since_checkpoint += 1
                self.progress.seconds = before + time.monotonic() - started
                last = step + 1 == total
                if (step + 1) % recipe.log_every == 0 or last:
                    self._log_step(values, first, started)
                self.progress.unmeasured = last or recipe.dev.due(step + 1)
                self._measure()
                due = recipe.checkpoint_every and (step + 1) % recipe.checkpoint_every == 0
                stopping = self._asked_to_stop() and not last
                if stopping or (due and not last):
                    self._checkpoint()
                advance(1, f"loss {values['loss']:.3f}{self._best_text()}")
                if stopping:
                    raise KeyboardInterrupt

    def _asked_to_stop(self) -> bool:
        """Return whether any process was: an interrupt may reach them in different steps."""
        if self.accelerator.num_processes == 1:
            return self.stopping
        asked = torch.tensor(float(self.stopping), device=self.accelerator.device)
        return bool(self.accelerator.reduce(asked, "sum") > 0)

    def _batches(self, first: int) -> Iterator[tuple[int, RawBatch]]:
        """Yield the steps that are left; negatives are mined anew between two loaders' lives."""
        section, total = self.recipe.negatives, self.recipe.optimizer.steps
        self._load_negatives(first)
        every = section.refresh_every or total
        while first < total:
            # A file serves until the first refresh: an untrained model would find nothing harder.
            if section.refresh_every and first % every == 0 and (first or not section.file):
                self._refresh_negatives(first)
            end = min(total, (first // every + 1) * every)
            read = batches_ahead(
                self.batches,
                range(first, end),
                workers=self.recipe.data.workers,
                processes=self.accelerator.num_processes,
            )
            yield from enumerate(read, first)
            first = end

    def _load_negatives(self, step: int) -> None:
        """Take the negatives that a run at this step has: mined by it before, or the recipe's."""
        section = self.recipe.negatives
        mined = latest_negatives(self.out, step) if section.refresh_every else None
        if mined is None and self.negatives is not None:
            self.batches.use_negatives(self.negatives)
        elif section.used and (path := str(mined or section.file)):
            self.batches.use_negatives(load_negatives(path, self.dataset))

    def _refresh_negatives(self, step: int) -> None:
        if self.accelerator.is_main_process:
            refresh_negatives(self.model, self.dataset, self.recipe.negatives, self.out, step)
        self.accelerator.wait_for_everyone()
        self._load_negatives(step)

    def _step(self, step: int, raw: RawBatch) -> dict[str, float]:
        # Dropout and augmentation depend on the seed and the step alone: nothing to save.
        torch.manual_seed((self.recipe.seed << 32) + step * 1024 + self.accelerator.process_index)
        device = self.accelerator.device
        queries = self._fields(raw, "query").to(device)
        documents = self._fields(raw, "document").to(device)
        set_learning_rates(self.optimizer, step, self.recipe.optimizer)
        encoded = self._encoded(queries, documents)
        loss = self.objective(self._gathered(encoded, raw), raw.pairs.to(device))
        value = loss.item()
        if not math.isfinite(value):
            raise RecipeError(
                f"the loss is {value} at step {step}",
                where="recipe, optimizer.learning_rate",
                remedy="Lower it, warm up longer, or train in fp32.",
            )
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(
            self.model.parameters(), self.recipe.optimizer.clip_norm
        )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.log_logit_scale.clamp_(max=math.log(self.recipe.loss.max_logit_scale))
        if self.average is not None:
            self.average.update(step)
        return {
            "loss": value,
            "gradient_norm": norm.item(),
            "logit_scale": encoded.logit_scale.item(),
            "queries": raw.queries,
            "documents": raw.documents,
        }

    def _encoded(self, queries: FieldBatch, documents: FieldBatch) -> Encoded:
        try:
            encoded: Encoded = self.wrapped(queries, documents)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise RecipeError(
                f"batch norm needs two pictures; a process met one at step {self.progress.step}",
                where="recipe, batch.size",
                remedy="Make the batch larger, or train with fewer processes.",
            ) from error
        return encoded

    def _gathered(self, encoded: Encoded, raw: RawBatch) -> Encoded:
        """Return the embeddings of all processes, which each compute the global batch's loss.

        Its gradient for a process's own rows, summed over the processes, is P times the global
        one, which averaging over them takes back.
        """
        right = encoded.documents
        parts = {}
        if self.recipe.loss.per_field:
            for field in self.model.document_fields:
                # Gathering is a meeting of all processes, backwards too: none may stay away.
                part = encoded.parts.get(field.name, 0.0 * right)
                parts[field.name] = gather_shares(part, raw.documents)
        return encoded._replace(
            queries=gather_shares(encoded.queries, raw.queries),
            documents=gather_shares(right, raw.documents),
            parts=parts,
        )

    def _fields(self, raw: RawBatch, side: Side) -> FieldBatch:
        rows = raw.query_rows if side == "query" else raw.document_rows

        def pixels(column: FieldColumn, _codes: Any) -> torch.Tensor:
            pictures = raw.pixels[side, column.field.name]
            return flip_and_shift(pictures) if self.recipe.data.augment else pictures

        batch = self.model.prepare(self.batches.columns[side], rows, side, pixels)
        return drop_fields(batch, self.recipe.data.field_dropout)

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
        """Measure dev NDCG@10, if that is due, and keep the model if it is the best so far."""
        if not self.accelerator.is_main_process or not self.progress.unmeasured:
            return
        averaged = self.average.applied() if self.average is not None else nullcontext()
        with averaged, merged(self.model):  # what is measured is what is saved
            value = None
            if self.dev is not None:
                splits = self.dev.ndcg(self.model)
                value = sum(splits.values()) / len(splits)
                self.log.write("dev", self.progress.step, {"ndcg@10": value, "splits": splits})
            best = self.progress.best
            if value is None or best is None or value > best:
                self.progress.best = value
                self.model.made = self._made()
                self.model.save(self.kept, overwrite=True)
        self.progress.unmeasured = False

    def _keep_a_share_of_the_base(self) -> None:
        """Write `model/`: the kept model's best mixture with the one that training started from."""
        if not self.accelerator.is_main_process:
            return
        plain = self.recipe.model_copy(update={"lora": LoraSection()})
        base = build_model(plain, self.dataset).encoder
        model = RankingModel.load(self.kept).to(self.accelerator.device)

        dev, shares = self.dev, self.recipe.average.wise

        def measure() -> float:
            splits = dev.ndcg(model) if dev is not None else {}
            return sum(splits.values()) / len(splits)

        alpha, found = choose_share(base, model.encoder, shares, measure if dev else None)
        tried = {str(share): value for share, value in found.items()}
        model.made |= {"wise": {"alpha": alpha, "ndcg@10": tried}}
        if found:
            model.made["dev_ndcg@10"] = found[alpha]
        self.log.write("wise", self.progress.step, model.made["wise"])
        model.save(self.out / "model", overwrite=True)

    def _made(self) -> dict[str, Any]:
        return {
            "recipe": published_recipe(self.recipe.model_dump(mode="json")),
            "data": {"name": self.dataset.name, "fingerprint": self.progress.fingerprint},
            "seed": self.recipe.seed,
            "step": self.progress.step,
            "dev_ndcg@10": self.progress.best,
        }

    def _best_text(self) -> str:
        best = self.progress.best
        return "" if best is None else f" · best dev NDCG@10 {best:.4f}"

    def _checkpoint(self) -> None:
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
            mined = latest_negatives(self.out, self.progress.step)
            if self.recipe.negatives.refresh_every and mined is not None:
                self.progress.mined = {mined.name: file_fingerprint(mined)}
            if self.accelerator.scaler is not None:
                self.progress.loss_scaler = self.accelerator.scaler.state_dict()
            save_checkpoint(
                self.out / "checkpoint", self.model, optimizer, self.progress, self.average
            )

    @contextmanager
    def _nothing_half_written(self) -> Iterator[None]:
        """Remove a new run's folder on a failure before there is any work in it."""
        try:
            yield
        except BaseException as error:
            kept = self._kept(error)
            names = ("model", "tuned", "checkpoint", "negatives")
            self.has_work = self.has_work or any((self.out / name).exists() for name in names)
            if self.own_folder and not self.has_work:
                shutil.rmtree(self.out, ignore_errors=True)
            if kept is not None:
                raise kept from error
            raise

    def _kept(self, error: BaseException) -> RankfieldError | None:
        """Keep the steps done in a checkpoint where the error can be fixed, and say so in it."""
        if not isinstance(error, DataError | ReadAheadError):
            return None
        if not self.since_checkpoint or self.accelerator.num_processes > 1:
            return None
        if isinstance(error, ImageError) and self.progress.inputs:
            self.progress.inputs[PICTURES] = TO_BE_FIXED
        self._checkpoint()
        remedy = (
            f"{error.remedy} {self.progress.step:,} steps are kept: go on with --resume.".strip()
        )
        return type(error)(error.problem, where=error.where, remedy=remedy)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Let the step in hand end and a checkpoint be written; a second Ctrl-C stops at once."""
        if self.stopping:
            raise KeyboardInterrupt
        self.stopping = True
