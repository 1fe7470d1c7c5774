"""How likely each position is examined: estimated, given, or none; and whether the log can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.errors import DataError, InputError
from rankfield.labels.click_model import ClickCounts, Floats, fit_position_model
from rankfield.labels.intervention_pairs import fit_all_pairs

__all__ = [
    "METHODS",
    "Propensities",
    "PropensityMethod",
    "estimate_propensities",
    "given_propensities",
    "linked_positions",
    "read_propensities",
]

PropensityMethod = Literal["em", "interventions", "none"]

METHODS: tuple[str, ...] = ("em", "interventions", "none")

_FEW_CLICKS = 100
_ENOUGH_IMPRESSIONS = 20
_LEAST = 1e-4


@dataclass(frozen=True)
class Propensities:
    """θ of each position, and what is known of how good it is.

    values: float64 (K,), of positions 1 … K, in (0, 1], largest 1.
    method: "em", "interventions", "none" or "given".
    estimated: bool (K,), false where θ was not measured but drawn from a power law of the others.
    clicks: float64 (K,), clicks on documents that were shown at this and at another position.
    log_likelihoods: of EM's iterations.
    converged: whether EM ended before its iterations ran out.
    warnings: what a reader must know, one per line.
    """

    values: Floats
    method: str
    estimated: NDArray[np.bool_]
    clicks: Floats
    log_likelihoods: tuple[float, ...] = ()
    converged: bool = True
    warnings: tuple[str, ...] = ()


def linked_positions(counts: ClickCounts) -> NDArray[np.bool_]:
    """Return for positions 1 … K whether the log can compare them with each other, bool (K,).

    Two positions are linked if a document with a click was shown at both for one query; θ is
    determined, up to one factor, within linked positions only. Of several groups that are linked
    in themselves, the one with most impressions is returned.
    """
    group = list(range(int(counts.position.max()) + 1))
    clicked = np.add.reduceat(counts.clicks, counts.starts)[counts.pair] > 0

    def root(k: int) -> int:
        while group[k] != k:
            group[k] = group[group[k]]
            k = group[k]
        return k

    together = np.flatnonzero((counts.pair[:-1] == counts.pair[1:]) & clicked[1:])
    codes = counts.position[together] * len(group) + counts.position[together + 1]
    for code in np.unique(codes).tolist():
        group[root(code // len(group))] = root(code % len(group))
    roots = np.array([root(k) for k in range(len(group))])
    seen = np.bincount(roots[counts.position], counts.impressions, len(group))
    linked: NDArray[np.bool_] = roots[1:] == seen.argmax()
    return linked


def estimate_propensities(
    counts: ClickCounts, positions: int, method: PropensityMethod = "em"
) -> Propensities:
    """Estimate θ of positions 1 … `positions`.

    Positions that no chain of documents links to the others (`linked_positions`) get what a power
    law k^−η, fitted to those that are linked, says; with nothing to fit, 1. Both with a warning.

    Args:
        counts: of the pairs that were shown at two or more positions; others tell nothing of θ.
        positions: how many positions the log has.
        method: "em" (`click_model.fit_position_model`), "interventions"
            (`intervention_pairs.fit_all_pairs`) or "none", which takes θ = 1 everywhere. EM fits an
            α to each pair, and with few impressions each those bend θ (Neyman and Scott 1948): it
            takes pairs with 20 impressions or more, and where these do not link all positions, θ
            comes from intervention pairs, which pool all of them.
    """
    flat = np.ones(positions)
    nothing = np.zeros(positions)
    if method == "none" or positions == 1:
        alone = "the log has one position only: its rates cannot be corrected for position bias"
        return Propensities(
            flat, "none", nothing == 0, nothing, warnings=() if method == "none" else (alone,)
        )
    if not counts.clicks.any():
        return Propensities(
            flat, "none", nothing > 0, nothing,
            warnings=(
                "propensities cannot be identified: no clicked document was shown at two positions"
                " for the same query; rates are not corrected. Give them with --propensities FILE,"
                " or log some variation of positions",
            ),
        )  # fmt: skip
    clicks = np.bincount(counts.position - 1, counts.clicks, positions).astype(np.float64)
    linked = np.zeros(positions, bool)
    linked[: int(counts.position.max())] = linked_positions(counts)
    model = fit_all_pairs(counts)
    often = _often_shown(counts) if method == "em" else None
    if often is not None and np.array_equal(linked_positions(often), linked_positions(counts)):
        # intervention pairs are few numbers, and near the maximum: EM over all pairs starts there
        start = np.nan_to_num(model.propensities, nan=0.5)
        model = fit_position_model(often, start=start)
    else:
        method = "interventions"
    theta = np.full(positions, np.nan)
    theta[: len(model.propensities)] = model.propensities
    known = linked & (clicks > 0)
    theta[~known] = np.nan
    theta /= np.nanmax(theta)
    warnings = _warnings(known, clicks, converged=model.converged)
    theta[~known] = _power_law(theta, known, clicks)[~known]
    return Propensities(
        np.clip(theta, _LEAST, 1), method, known, clicks, model.log_likelihoods, model.converged,
        warnings,
    )  # fmt: skip


def _often_shown(counts: ClickCounts) -> ClickCounts | None:
    """Return the pairs that were shown often enough for an α of their own, and clicked.

    A pair without a click has α = 0 at the maximum, whatever θ is.
    """
    starts = counts.starts
    enough = np.add.reduceat(counts.impressions, starts) >= _ENOUGH_IMPRESSIONS
    enough &= np.add.reduceat(counts.clicks, starts) > 0
    kept = enough[counts.pair]
    if not kept.any():
        return None
    number = np.cumsum(enough) - 1
    return ClickCounts(
        number[counts.pair[kept]],
        counts.position[kept],
        counts.impressions[kept],
        counts.clicks[kept],
    )


def _power_law(theta: Floats, known: NDArray[np.bool_], clicks: Floats) -> Floats:
    """Return k^−η scaled through the known θ by least squares of the logs, weighted by clicks."""
    places = np.log(np.arange(1, len(theta) + 1))
    if known.sum() < 2:
        return np.ones(len(theta))
    weights = np.sqrt(clicks[known])
    slope, level = np.polyfit(places[known], np.log(theta[known].clip(_LEAST)), 1, w=weights)
    fitted: Floats = np.exp(level + min(slope, 0.0) * places)
    return fitted


def _warnings(known: NDArray[np.bool_], clicks: Floats, *, converged: bool) -> tuple[str, ...]:
    warnings = []
    if not known.all():
        warnings.append(
            f"propensities of positions {_ranges(~known)} cannot be identified: no clicked document"
            " links them to the others; a power law fitted to the others stands in"
        )
    thin = known & (clicks < _FEW_CLICKS)
    if thin.any():
        warnings.append(
            f"propensities of positions {_ranges(thin)} rest on fewer than {_FEW_CLICKS} clicks"
        )
    if not converged:
        warnings.append("EM ran out of iterations before it converged")
    return tuple(warnings)


def _ranges(marked: NDArray[np.bool_]) -> str:
    """Return the marked positions as text: 1, 4–6."""
    places = np.flatnonzero(marked) + 1
    parts = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 1 else f"{p[0]}" for p in parts)


def given_propensities(given: Mapping[int, float], positions: int) -> Propensities:
    """Return known propensities of positions 1 … `positions`, scaled so that the largest is 1.

    Raises:
        InputError: a position without one, or a value that is not above 0 and finite.
    """
    for position in range(1, positions + 1):
        value = given.get(position)
        if value is None or not 0 < value < float("inf"):
            raise InputError(
                f"expected a propensity above 0 for position {position}, found {value}",
                where="propensities",
                remedy="Give one for each position of the log, or lower --max-position.",
            )
    values = np.array([given[k] for k in range(1, positions + 1)])
    every = np.ones(positions, bool)
    return Propensities(values / values.max(), "given", every, np.zeros(positions))


def read_propensities(path: str | Path) -> dict[int, float]:
    """Read position → propensity from a CSV file with the columns position and propensity.

    Raises:
        DataError: no such file or columns, a value that is no number, a position twice.
    """
    where = str(path)
    remedy = "Write a CSV file with the columns position (from 1) and propensity."
    try:
        frame = pl.read_csv(path, infer_schema=False, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"cannot be read ({error})", where=where, remedy=remedy) from error
    for column in ("position", "propensity"):
        if column not in frame.columns:
            raise DataError(
                f"expected a column {column!r}, found {', '.join(frame.columns)}",
                where=where,
                remedy=remedy,
            )
    given: dict[int, float] = {}
    for line, row in enumerate(frame.iter_rows(named=True), 2):
        try:
            position, value = int(row["position"]), float(row["propensity"])
        except (TypeError, ValueError):
            raise DataError(
                f"expected two numbers, found {row['position']!r} and {row['propensity']!r}",
                where=f"{where}, row {line}",
                remedy=remedy,
            ) from None
        if position in given:
            raise DataError(
                f"position {position} is duplicated", where=f"{where}, row {line}", remedy=remedy
            )
        given[position] = value
    return given
