"""The option `--run` of `rankfield evaluate`: ranked lists as run files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rankfield.errors import InputError
from rankfield.outputs import OR_OVERWRITE, require_new
from rankfield.terminal import echo

if TYPE_CHECKING:
    from rankfield.evaluation import EvaluationOptions, Results
    from rankfield.schema import RankingDataset

__all__ = ["Lists"]


@dataclass(frozen=True)
class Lists:
    """What `--run` and `--depth` ask for.

    run: the file, or None.
    depth: how many documents of a query go into it.
    """

    run: Path | None
    depth: int

    def checked(
        self,
        dataset: RankingDataset,
        options: EvaluationOptions,
        baselines: Sequence[str],
        *,
        overwrite: bool,
    ) -> Lists:
        """Return itself once it is sure that the files can be written.

        Raises:
            InputError: lists deeper than published rules search.
            OutputError: one of the files exists.
            DataError: an id cannot stand in a run file.
        """
        from rankfield.evaluation.evaluate import evaluated_splits
        from rankfield.evaluation.run_files import check_run_ids, run_files

        if self.run is None:
            return self
        if options.protocol != "rankfield" and self.depth > options.k:
            raise InputError(
                f"expected at most {options.k:,} by the rules of {options.protocol}, "
                f"found {self.depth:,}",
                where="--depth",
            )
        check_run_ids(dataset)
        splits = evaluated_splits(dataset, options)
        for name in baselines or [""]:
            files = run_files(self._file(name, baselines), splits).values()
            if not overwrite:
                require_new(*files, remedy=OR_OVERWRITE)
        return self

    def asked_of(self, options: EvaluationOptions) -> EvaluationOptions:
        """Return the options with which results keep the lists that deep."""
        if self.run is None:
            return options
        return replace(options, k=max(options.k, self.depth), keep=max(options.keep, self.depth))

    def save(self, found: Mapping[str, Results]) -> None:
        """Write the lists of each baseline, or of the model under the name ""."""
        from rankfield.evaluation.run_files import save_run_files, with_best

        if self.run is None:
            return
        for name, results in found.items():
            file = self._file(name, list(found))
            for place in save_run_files(with_best(results, self.depth), file):
                echo(f"Ranked lists: {place}")

    def left_out(self, results: Results) -> Results:
        """Return results with as many documents as they usually keep."""
        from rankfield.evaluation import EvaluationOptions
        from rankfield.evaluation.run_files import with_best

        return results if self.run is None else with_best(results, EvaluationOptions.keep)

    def _file(self, name: str, names: Sequence[str]) -> Path:
        assert self.run is not None
        if len(names) < 2:
            return self.run
        return self.run.with_name(f"{self.run.stem}.{name}{self.run.suffix}")
