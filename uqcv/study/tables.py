"""The tables of a study, as rows of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uqcv.study.settings import StudySettings
from uqcv.study.summary import (
    BUDGETS,
    Measures,
    Seeds,
    Spread,
    at_budget,
    coverage_after,
    last,
    over_seeds,
    reach,
    times_as_many,
)

MEV, PERCENT, HOUR = 1000.0, 100.0, 3600.0
SHARES = (0.5, 0.75, 0.85)  # of the relevant bins, beside the target
Samplers = Mapping[str, Seeds]
Rows = list[list[str]]
MAE, MAP = "force MAE uniform, meV/Å", "free energy, kJ/mol"  # columns
NAMES = {"labels": "labels", "steps": "MD steps", "evaluations": "network evaluations"}


def outcome(study: StudySettings, samplers: Samplers, n_relevant: int) -> tuple[list[str], Rows]:
    """Return header and rows: how good each sampler's campaigns were in the end."""
    temperatures = [f"{t:g} K" for t in study.measures.trajectory_temperatures]
    target = f"labels to {PERCENT * study.measures.target:g} %"
    header = ["sampler", "seeds", "labels", "covered, %", target, MAE, "RMSE uniform"]
    header += [f"MAE {t}" for t in temperatures]
    header += [MAP, "effective, median", "stable, %", "wasted labels", "highest label, eV", "walkers lost"]
    header += ["hours", "core-hours"]
    rows = []
    for name, seeds in samplers.items():
        row = [name, str(len(seeds)), _cell(seeds, "labels"), _covered(seeds, n_relevant)]
        row += [reach(seeds, study.measures.target, n_relevant) if n_relevant else "-"]
        row += [_cell(seeds, key, MEV) for key in ("test_force_mae", "test_force_rmse")]
        row += [_cell(seeds, f"{t}_force_mae", MEV) for t in temperatures]
        row += [_cell(seeds, "map_error"), _cell(seeds, "map_effective_median"), _stable(seeds)]
        row += [_cell(seeds, key) for key in ("wasted", "highest_label", "ended_early")]
        row += [_cell(seeds, key, 1 / HOUR) for key in ("seconds", "core_seconds")]
        rows.append(row)
    return header, rows


def each_campaign(study: StudySettings, samplers: Samplers, n_relevant: int) -> tuple[list[str], Rows]:
    """Return the columns of `outcome` for each campaign by itself, in whose first two stand sampler and seed."""
    header, _ = outcome(study, samplers, n_relevant)
    rows = []
    for name, seeds in samplers.items():
        for seed, measures in seeds.items():
            _, ((_, _, *cells),) = outcome(study, {name: {seed: measures}}, n_relevant)
            rows.append([name, str(seed), *cells])
    return ["sampler", "seed", *header[2:]], rows


def labels_needed(study: StudySettings, samplers: Samplers, n_relevant: int) -> tuple[list[str], Rows]:
    """Return the labels to cover shares of the relevant bins, and how many times as many as the first sampler's."""
    shares = _shares(study)
    base = next(iter(samplers.values()))
    rows = []
    for name, seeds in samplers.items():
        cells = [(reach(seeds, s, n_relevant), times_as_many(seeds, base, s, n_relevant)) for s in shares]
        rows.append([name, *(cell for pair in cells for cell in pair)])
    return ["sampler", *(head for s in shares for head in (f"{PERCENT * s:g} %", "times as many"))], rows


def _shares(study: StudySettings) -> list[float]:
    return sorted({*SHARES, study.measures.target})


def budgets(samplers: Samplers, n_relevant: int) -> dict[str, tuple[list[str], Rows]]:
    """Return for each budget the table at the most that a campaign of the first sampler had spent in the end."""
    first = next(iter(samplers.values()))
    tables = {}
    for budget in BUDGETS:
        limit = over_seeds(first, lambda m, b=budget: last(m)[b]).most
        header = ["sampler", NAMES[budget], "covered, %", MAE, MAP]
        rows = [[name, *_at(seeds, budget, limit, n_relevant)] for name, seeds in samplers.items()]
        tables[f"{NAMES[budget]}: at most {limit:.0f}"] = header, rows
    return tables


def gaps(samplers: Samplers, expert: str, n_relevant: int) -> tuple[list[str], Rows]:
    """Return how far each other sampler is from the expert: at the most labels that all of both asked for, and last.

    Differences between campaigns of one seed, which share data and first potential: their mean and range.
    """
    quantities = ["covered, points", MAE, MAP]
    header = [f"sampler minus {expert}", "seeds", "labels", *quantities]
    header += [f"in the end: {name}" for name in quantities]
    return header, [
        [name, *_gap(seeds, samplers[expert], n_relevant)] for name, seeds in samplers.items() if name != expert
    ]


def _gap(seeds: Seeds, best: Seeds, n_relevant: int) -> list[str]:
    pairs = [(seeds[seed], best[seed]) for seed in seeds if seed in best]
    if not pairs:
        return ["0", *["-"] * 7]
    shared = min(last(m)["labels"] for pair in pairs for m in pair)
    cells = [str(len(pairs)), f"{shared:.0f}"]
    for labels in (shared, np.inf):
        differences = [_after(own, labels, n_relevant) - _after(known, labels, n_relevant) for own, known in pairs]
        cells += [Spread.of(column).signed() for column in zip(*differences, strict=True)]
    return cells


def _after(measures: Measures, labels: float, n_relevant: int) -> NDArray[np.float64]:
    """Return coverage and errors of a campaign after so many labels, NaN where there is no such measure."""
    row = at_budget(measures, "labels", labels) or {}
    covered = PERCENT * coverage_after(measures, labels, n_relevant) if n_relevant else np.nan
    return np.array([covered, MEV * row.get("test_force_mae", np.nan), row.get("map_error", np.nan)])


def first_visits(
    study: StudySettings, samplers: Samplers, minima: list[str], n_relevant: int
) -> tuple[list[str], Rows]:
    """Return the simulated time until minima and shares of the relevant bins were visited, and in how many campaigns.

    Parameters
    ----------
    study
        Says which share is the target.
    samplers
        Their measures.
    minima
        Names of the minima.
    n_relevant
        Number of relevant bins.
    """
    shares = sorted({*_shares(study), 1.0})
    rows = []
    for name, seeds in samplers.items():
        times = [[m["crossings"][k] for m in seeds.values()] for k in range(len(minima))]
        times += [[_walked(m, share, n_relevant) for m in seeds.values()] for share in shares]
        walked = any(last(m)["steps"] for m in seeds.values())
        rows.append([name, *(_visits(each) if walked else "-" for each in times)])
    header = ["sampler", *(f"{minimum}, ps" for minimum in minima)]
    return header + [f"{PERCENT * share:g} % of the bins, ps" for share in shares], rows


def _walked(measures: Measures, share: float, n_relevant: int) -> float | None:
    """Return when a share of the relevant bins had been visited; None if it never was, NaN if that is not known."""
    times = measures.get("walked")
    if not times:
        return math.nan
    return next((float(time) for n, time in enumerate(times, 1) if n / n_relevant >= share), None)


def _visits(times: Sequence[float | None]) -> str:
    known = [time for time in times if time is not None]
    if any(map(math.isnan, known)):
        return "-"
    return f"{Spread.of(known)}, {len(known)} of {len(times)}" if known else f"none of {len(times)}"


def _at(seeds: Seeds, budget: str, limit: float, n_relevant: int) -> list[str]:
    found = [row for m in seeds.values() if (row := at_budget(m, budget, limit)) is not None]
    if len(found) < len(seeds):
        return ["-"] * 4

    def spread(key: str, factor: float = 1.0) -> str:
        values = [factor * row[key] for row in found if key in row]
        return str(Spread.of(values)) if values else "-"

    covered = [
        PERCENT * coverage_after(m, int(row["labels"]), n_relevant) if n_relevant else np.nan
        for m, row in zip(seeds.values(), found, strict=True)
    ]
    return [spread(budget), str(Spread.of(covered)), spread("test_force_mae", MEV), spread("map_error")]


def _cell(seeds: Seeds, key: str, factor: float = 1.0) -> str:
    return _spread(seeds, lambda m: factor * last(m)[key] if key in last(m) else float("nan"))


def _covered(seeds: Seeds, n_relevant: int) -> str:
    if not n_relevant:
        return "-"
    return _spread(seeds, lambda m: PERCENT * m["covered"][-1] / n_relevant)


def _stable(seeds: Seeds) -> str:
    """Return the share of runs that stayed whole, at each temperature."""
    known = [m["stability"] for m in seeds.values() if "stability" in m]
    return ", ".join(f"{t} K: {PERCENT * np.mean([s[t] for s in known]):.0f}" for t in known[0]) if known else "-"


def _spread(seeds: Seeds, value: Callable[[Measures], Any]) -> str:
    return str(over_seeds(seeds, value))
