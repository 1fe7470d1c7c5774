"""The loop: rounds of visitors, judgments, training, proof, swap and confirmation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rankfield.encoders.fingerprint import model_fingerprint
from rankfield.errors import InputError
from rankfield.evaluation import PairedTest, Results
from rankfield.evaluation.interleaving import Preference
from rankfield.files import read_json_object, write_json
from rankfield.index import build_index, is_index, open_index, roll_back
from rankfield.index.previous import previous_of
from rankfield.loop.candidate import candidate_recipe, train_candidate
from rankfield.loop.client import ShopClient
from rankfield.loop.feedback import feedback_sizes, take_back
from rankfield.loop.judgments import ClickJudgments, training_judgments
from rankfield.loop.options import LoopOptions
from rankfield.loop.proof import held_out_mean, held_out_results, prove
from rankfield.loop.shop import Shop
from rankfield.loop.traffic import Traffic, send_visitors
from rankfield.loop.visitors import Phase, Visitors
from rankfield.marked_folder import begin_or_go_on
from rankfield.metrics import Mean
from rankfield.report.loop_round import LoopRound
from rankfield.report.style import decimal, signed
from rankfield.serving import index_preferences

__all__ = ["Loop", "run_loop"]

_MARKER = "loop.json"


def run_loop(
    demo: str | Path,
    out: str | Path,
    options: LoopOptions | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Loop:
    """Go round the loop on the shop of a demo, from where an earlier run of it stopped.

    Each round: simulated visitors search the service and click; the service's UBI events become
    judgments without position bias; the served model is trained further on them; on held-out
    dev queries the candidate is compared with what is served; if the 95 % interval of the
    difference is above 0, its index replaces the served one, which is kept; then visitors see
    interleaved results of both, and if they prefer the former model, that comes back.

    `out` gets `index/` (what is served), `index.previous/`, `feedback/` (of the service), for each
    round labels, judgments.parquet, the training run, results.json and result.json. `write_page`
    makes a page of it.

    Args:
        demo: the folder of `rankfield demo`.
        out: a new folder, or that of an unfinished loop of the same settings; with more rounds it
            goes on.
        options: see `LoopOptions`.
        say: gets a line for each step.

    Raises:
        InputError: no demo, or its model cannot be trained further.
        OutputError: `out` is something else or a loop of other settings, or cannot be written.
        RecipeError: too few clicks for a batch.
    """
    options = options or LoopOptions()
    shop = Shop.open(demo, asked=options.queries, seed=options.seed)
    loop = Loop(shop, Path(out), options, say)
    loop.run()
    return loop


class Loop:
    """A loop in its folder.

    Args:
        shop: what it runs on.
        out: the folder.
        options: its settings.
        say: gets a line for each step.

    Raises:
        OutputError: the folder is something else, or of a loop of other settings.
    """

    def __init__(
        self, shop: Shop, out: Path, options: LoopOptions, say: Callable[[str], None]
    ) -> None:
        self.shop, self.out, self.options, self._say = shop, out, options, say
        self.visitors = Visitors(shop, options)
        self.rounds: list[LoopRound] = []
        self.index, self.feedback = out / "index", out / "feedback"
        self._begin()

    @property
    def start(self) -> Mean:
        """nDCG@10 of the first model on the test queries."""
        return held_out_mean(self._results(0), self.shop)

    def run(self) -> None:
        """Go through all rounds; those that are done are read."""
        if not is_index(self.index):
            self._say("Index of the first model, which has learnt what matches and no order")
            build_index(self.shop.first_model, self.shop.data, self.index)
        self._say(f"First model: nDCG@10 {_shown(self.start)} on the test queries")
        served, sizes = 0, dict[str, int]()
        for number in range(1, self.options.rounds + 1):
            done = self._folder(number) / "result.json"
            if not done.is_file():
                found = self._round(number, served, sizes)
                state = {"round": found.model_dump(mode="json")}
                write_json(done, {**state, "feedback": feedback_sizes(self.feedback)})
            found, sizes = _read_round(done)
            self.rounds.append(found)
            served = found.serves

    def results_file(self, number: int) -> Path:
        """Return where the results of a round's model are, on all held-out queries."""
        return self._folder(number) / "results.json"

    def _begin(self) -> None:
        """Mark the folder as this loop's, or refuse one that is not."""
        settings = asdict(self.options)
        del settings["rounds"]
        settings["demo"] = self.shop.data.fingerprint()
        begin_or_go_on(self.out, _MARKER, settings, "a loop of these settings")

    def _round(self, number: int, served: int, sizes: dict[str, int]) -> LoopRound:
        traffic = self._visits(number, sizes)
        self._say(f"Round {number}: {traffic.clicks:,} clicks in {traffic.lists:,} lists → labels")
        clicks = training_judgments(self.feedback / "ubi", self._folder(number), self.shop)
        self._say(f"Round {number}: train {self.options.steps} steps on {clicks.pairs:,} judgments")
        results = self._trained(number, served, clicks)
        test = prove(self._results(served), results, self.shop)
        mean = held_out_mean(results, self.shop)
        self._say(f"Round {number}: dev nDCG@10 {_shown(test.difference, signed)}")
        swapped = test.difference.low is not None and test.difference.low > 0
        preference = self._confirmed(number, served) if swapped else None
        rolled_back = preference is not None and preference.high < 0.5
        if rolled_back:
            roll_back(self.index)
        found = _found(number, served, traffic, clicks, test).model_copy(
            update={
                "test": mean, "swapped": swapped, "preference": preference,
                "rolled_back": rolled_back,
            }
        )  # fmt: skip
        self._say(f"Round {number}: test nDCG@10 {_shown(mean)}; {found.verdict}")
        return found

    def _visits(self, number: int, sizes: dict[str, int]) -> Traffic:
        """Send the visitors of a round, unless they have been; what was cut off begins again."""
        file = self._folder(number) / "visits.json"
        if file.is_file():
            known = read_json_object(file)
            take_back(self.feedback, known["feedback"])  # of a confirmation that was cut off
            return Traffic(known["lists"], known["clicks"])
        take_back(self.feedback, sizes)
        self._say(f"Round {number}: {self.options.visitors:,} visitors search and click")
        found = self._send({"shop": self.index}, number, "visits", self.options.visitors)
        write_json(file, {**asdict(found), "feedback": feedback_sizes(self.feedback)})
        return found

    def _trained(self, number: int, served: int, clicks: ClickJudgments) -> Results:
        """Return the results of the round's candidate, which is trained unless it has been."""
        folder = self._folder(number)
        if not self.results_file(number).is_file():
            recipe = candidate_recipe(self._model(served), clicks, number, self.options)
            train_candidate(recipe, self.shop, folder / "run")
        return self._results(number)

    def _confirmed(self, number: int, served: int) -> Preference:
        """Put the candidate into service, and return which model visitors prefer."""
        candidate = self._model(number)
        now = open_index(self.index).metadata.model_fingerprint
        if now != model_fingerprint(candidate):
            build_index(candidate, self.shop.data, self.index, overwrite=True)
        self._say(f"Round {number}: swapped; {self.options.lists:,} interleaved lists")
        former, latter = _name(served), _name(number)
        places = {former: previous_of(self.index), latter: self.index}
        self._send(places, number, "confirmation", self.options.lists)
        return index_preferences(self.feedback)[former, latter]

    def _send(self, places: dict[str, Path], number: int, phase: Phase, count: int) -> Traffic:
        log = self.out / "service.log"
        with ShopClient(places, feedback=self.feedback, log=log) as client:
            return send_visitors(client, self.visitors, number, phase, count)

    def _folder(self, number: int) -> Path:
        return self.out / _name(number)

    def _model(self, number: int) -> Path:
        return self._folder(number) / "run" / "model" if number else self.shop.first_model

    def _results(self, number: int) -> Results:
        return held_out_results(self._model(number), self.shop, self.results_file(number))


def _name(number: int) -> str:
    """Return the name of a round's folder, and of its model in the service."""
    return f"round-{number:02d}"


def _found(
    number: int, served: int, traffic: Traffic, clicks: ClickJudgments, test: PairedTest
) -> LoopRound:
    """Return what is known of a round before it is decided."""
    return LoopRound(
        number=number,
        served=served,
        lists=traffic.lists,
        clicks=traffic.clicks,
        pairs=clicks.pairs,
        propensities=list(clicks.propensities),
        tau=clicks.tau,
        naive_tau=clicks.naive_tau,
        difference=test.difference,
        better=test.better,
        worse=test.worse,
        test=Mean(None, 0),
        swapped=False,
    )


def _read_round(file: Path) -> tuple[LoopRound, dict[str, int]]:
    known: Any = read_json_object(file)
    try:
        return LoopRound.model_validate(known["round"]), dict(known["feedback"])
    except (KeyError, TypeError, ValueError, ValidationError):
        raise InputError(
            "is not what `rankfield loop` wrote",
            where=str(file),
            remedy="Remove the folder of the loop, and run it again.",
        ) from None


def _shown(mean: Mean, form: Callable[[float | None], str] = decimal) -> str:
    text = form(mean.value)
    if mean.low is None or mean.high is None or not math.isfinite(mean.low):
        return text
    return f"{text} ({form(mean.low)} to {form(mean.high)})"
