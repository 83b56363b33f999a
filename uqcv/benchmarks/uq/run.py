"""The whole comparison: splits, networks, scores, statistics; each step does nothing if its result is there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uqcv.benchmarks.speed import describe_machine
from uqcv.benchmarks.uq.clock import Clock
from uqcv.benchmarks.uq.cost import time_methods
from uqcv.benchmarks.uq.data import IN_DOMAIN, DataSet, groups_of, read_data
from uqcv.benchmarks.uq.figures import save_figures
from uqcv.benchmarks.uq.networks import PLAIN, TrainingItem, kind_of, train_item
from uqcv.benchmarks.uq.plan import Plan
from uqcv.benchmarks.uq.scores import CALIBRATION, Scores, ScoringItem, read_scores, score_item
from uqcv.benchmarks.uq.split import sizes_for, split
from uqcv.benchmarks.uq.statistics import (
    covered,
    differences,
    judge,
    pooled_coverage,
    resampled,
    summarise,
)
from uqcv.benchmarks.uq.tables import report
from uqcv.colvars.methods import networks_for
from uqcv.errors import InputError
from uqcv.files import read_json, write_json, write_text
from uqcv.folders import locked
from uqcv.processes import available_cores, run_in_processes
from uqcv.progress import Update, progress
from uqcv.seeding import derive_seed
from uqcv.structures import elements, read_structures, require_elements, write_structures
from uqcv.uncertainty.settings import Method

OUT_OF_DOMAIN = "out of domain"  # all other test sets together
SECONDS_BETWEEN_NOTES = 5.0  # of the wall time
REFERENCE: Method = "ensemble"


def compare(plan: Plan, folder: Path, processes: int | None = None) -> dict[str, Any]:
    """Train and score all methods in `folder`, or go on with it; return what is written as results.json.

    Raises
    ------
    InputError
        If the folder holds a comparison with other settings, or there are too few data.
    UnknownElementError
        If an element is tested that a training set lacks.
    """
    data, n = read_data(plan.source), processes or available_cores()
    splits = _splits(plan, folder, data)
    tests = (IN_DOMAIN, *data.others)
    with locked(folder):
        _require_same(plan, folder)
        clock = Clock(folder / "seconds.json", time.monotonic, SECONDS_BETWEEN_NOTES)
        for one in splits:
            _write_split(one, data)
        _train(plan, splits, n, clock)
        _score(plan, splits, tests, n, clock)
        results = _results(plan, splits, tests, len(data.others) > 1)
        results["cost"] = _cost(plan, folder, splits)
        results["settings"] |= {"wall_seconds": clock.note(), "processes": n}
        write_json(folder / "results.json", results)
        write_text(folder / "tables.md", report(results))
        _draw(results, plan, folder, splits, tests)
    return results


@dataclass(frozen=True)
class _Split:
    folder: Path
    size: int
    seed: int
    parts: dict[str, list[int]]


def _splits(plan: Plan, folder: Path, data: DataSet) -> list[_Split]:
    """Return all splits; nothing is written before they are known to be possible."""
    groups = groups_of(data.pool, plan.source.group_key)
    splits = []
    for sizes in sizes_for(len(data.pool), plan.training_sizes, plan.held_out, bool(data.test)):
        for seed in range(plan.seeds):
            parts = split(groups, sizes, derive_seed(seed, "split"))
            known = elements([data.pool[k] for k in parts["training"]])
            for name, frames in {"frames in the domain": [*data.pool, *data.test], **data.others}.items():
                require_elements(frames, known, name)
            place = folder / f"train-{sizes.training}" / f"seed-{seed}"
            splits.append(_Split(place, sizes.training, seed, parts))
    return splits


def _require_same(plan: Plan, folder: Path) -> None:
    path = folder / "settings.json"
    if path.is_file() and (before := read_json(path)) != plan.as_json():
        different = [key for key, value in plan.as_json().items() if before.get(key) != value]
        raise InputError(f"{folder}: holds a comparison with another {', '.join(different)}; give another --out")
    write_json(path, plan.as_json())


def _write_split(one: _Split, data: DataSet) -> None:
    if (one.folder / "split.json").is_file():
        return
    for name, indices in one.parts.items():
        frames = [data.pool[k] for k in indices] or data.test
        write_structures(one.folder / f"{IN_DOMAIN if name == 'test' else name}.extxyz", frames)
    for name, frames in data.others.items():
        write_structures(one.folder / f"{name}.extxyz", frames)
    write_json(one.folder / "split.json", one.parts)


def _train(plan: Plan, splits: Sequence[_Split], processes: int, clock: Clock) -> None:
    settings = (plan.architecture, plan.training, plan.uncertainty)
    items = [
        TrainingItem(one.folder, kind, k, one.seed, *settings)
        for one in splits
        for kind, number in _kinds(plan).items()
        for k in range(number)
    ]
    with progress(f"training {len(items)} networks", len(items) * plan.training.epochs) as update:
        run_in_processes(train_item, items, processes, _timed(update, clock), lambda item: str(item.path))


def _timed(update: Update, clock: Clock) -> Update:
    """Return what shows progress and notes the time."""

    def shown(done: float, note: str) -> None:
        update(done, note)
        clock.note()

    return shown


def _kinds(plan: Plan) -> dict[str, int]:
    """Return how many networks of each kind are needed; those of the ensemble serve all that need a plain one."""
    numbers: dict[str, int] = {}
    for method in plan.methods:
        kind = kind_of(method, plan.uncertainty)
        needed = networks_for(plan.uncertainty.model_copy(update={"method": method})).number
        numbers[kind] = max(numbers.get(kind, 0), needed)
    return {kind: numbers[kind] for kind in sorted(numbers, key=lambda kind: kind != PLAIN)}


def _score(plan: Plan, splits: Sequence[_Split], tests: tuple[str, ...], processes: int, clock: Clock) -> None:
    items = [
        ScoringItem(one.folder, method, one.seed, plan.uncertainty, tests, plan.source.group_key)
        for one in splits
        for method in plan.methods
    ]
    with progress(f"scoring {len(items)} times", len(items)) as update:
        run_in_processes(score_item, items, processes, _timed(update, clock), lambda item: str(item.place))


def _draw(results: dict[str, Any], plan: Plan, folder: Path, splits: Sequence[_Split], tests: tuple[str, ...]) -> None:
    for size, name in dict.fromkeys((row["training"], row["test"]) for row in results["metrics"]):
        own = [one for one in splits if one.size == size]
        pairs = {str(m): [_pair(one, m, name, tests[1:]) for one in own] for m in plan.methods}
        save_figures(pairs, folder / "figures", f"train-{size}-{name.replace(' ', '-')}")


def _results(plan: Plan, splits: Sequence[_Split], tests: tuple[str, ...], together: bool) -> dict[str, Any]:
    names = (*tests, OUT_OF_DOMAIN) if together else tests
    results: dict[str, Any] = {"machine": describe_machine(), "settings": plan.as_json(), "sets": {}}
    results |= {"metrics": [], "differences": [], "coverage": []}
    sizes = list(dict.fromkeys(one.size for one in splits))
    with progress("statistics", len(sizes) * len(names)) as update:
        for k, (size, name) in enumerate((size, name) for size in sizes for name in names):
            own = [one for one in splits if one.size == size]
            _add(results, plan, own, name, tests[1:], size)
            update(k + 1, "")
    return results


def _add(
    results: dict[str, Any], plan: Plan, splits: Sequence[_Split], name: str, others: tuple[str, ...], size: int
) -> None:
    where = {"training": size, "test": name}
    rows: dict[str, list[dict[str, float]]] = {}
    draws: dict[str, list[NDArray[np.float64]]] = {}
    for method in plan.methods:
        pairs = [_pair(one, method, name, others) for one in splits]
        rows[method] = [judge(*pair) for pair in pairs]
        # The same draws for all seeds: where they are tested on the same frames, those do not become more by that.
        draws[method] = [resampled(*pair, derive_seed(0, "bootstrap", name)) for pair in pairs]
        summary = summarise(rows[method], draws[method])
        results["metrics"].append({**where, "method": method, "seeds": len(splits), "metrics": summary})
        shares, counts = [covered(*pair) for pair in pairs], [len(test.counts) for _, test in pairs]
        held_out = [len(calibration.counts) for calibration, _ in pairs]
        pooled = {kind: pooled_coverage([s[kind] for s in shares], counts) for kind in shares[0]}
        results["coverage"].append({**where, "method": method, "calibration_frames": held_out, "kinds": pooled})
        results["sets"][f"{size}, {name}"] = {"frames": counts, "calibration": held_out}
    if REFERENCE in plan.methods:
        results["differences"] += [{**where, **row} for row in differences(draws, rows, REFERENCE)]


def _pair(one: _Split, method: Method, name: str, others: tuple[str, ...]) -> tuple[Scores, Scores]:
    place = one.folder / "methods" / method
    calibration = read_scores(place, CALIBRATION)
    if name != OUT_OF_DOMAIN:
        return calibration, read_scores(place, name)
    first, *rest = (read_scores(place, other) for other in others)
    for more in rest:
        first = first.joined(more)
    return calibration, first


def _cost(plan: Plan, folder: Path, splits: Sequence[_Split]) -> list[dict[str, Any]]:
    """Return what each method costs: training and fit, mean over splits of each size, and a compiled step."""
    path = folder / "steps.json"
    if not path.is_file():
        place = splits[0].folder
        frames = read_structures(place / f"{IN_DOMAIN}.extxyz")
        same = [s for s in frames if s.numbers.tolist() == frames[0].numbers.tolist()]
        bundles = {method: place / "methods" / method / "bundle" for method in plan.methods}
        write_json(path, time_methods(bundles, same, plan.training.device))
    steps, rows = read_json(path), []
    for size in dict.fromkeys(one.size for one in splits):
        own = [one for one in splits if one.size == size]
        for method in plan.methods:
            costs = [read_json(one.folder / "methods" / method / "cost.json") for one in own]
            means = {key: sum(cost[key] for cost in costs) / len(costs) for key in costs[0]}
            rows.append({"training": size, "method": method, **means, "ms_per_step": steps[method]["ms"]})
    return rows
