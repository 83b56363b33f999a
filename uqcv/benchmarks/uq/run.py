"""The whole comparison: splits, networks, scores, statistics; each step does nothing if its result is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from uqcv.benchmarks.uq.clock import Clock
from uqcv.benchmarks.uq.data import DataSet, groups_of, read_data
from uqcv.benchmarks.uq.figures import save_figures
from uqcv.benchmarks.uq.networks import PLAIN, TrainingItem, kind_of, train_item
from uqcv.benchmarks.uq.places import IN_DOMAIN, in_file_names, test_place
from uqcv.benchmarks.uq.plan import Plan
from uqcv.benchmarks.uq.results import Collected, collect, without_nan
from uqcv.benchmarks.uq.resume import begin, described
from uqcv.benchmarks.uq.scores import ScoringItem, score_item
from uqcv.benchmarks.uq.split import Sizes, Split, require_groups, sizes_for, split
from uqcv.benchmarks.uq.tables import report
from uqcv.colvars.methods import networks_for
from uqcv.files import write_json, write_text
from uqcv.folders import locked, require_writable
from uqcv.processes import available_cores, run_in_processes
from uqcv.progress import progress
from uqcv.seeding import derive_seed
from uqcv.structures import elements, require_elements, write_structures

SECONDS_BETWEEN_NOTES = 5.0  # of the wall time


def compare(plan: Plan, folder: Path, processes: int | None = None) -> dict[str, Any]:
    """Train and score all methods in `folder`, or go on with it; return what is written as results.json.

    Raises
    ------
    InputError
        If the folder holds something else or a comparison that this one does not extend, or there are too few data.
    UnknownElementError
        If an element is tested that a training set lacks.
    """
    require_writable(folder, folder=True)
    data, n = read_data(plan.source), processes or available_cores()
    sizes = sizes_for(len(data.pool), plan.training_sizes, plan.held_out, bool(data.test))
    splits = _splits(plan, folder, data, sizes)
    tests, settings = (IN_DOMAIN, *data.others), described(plan, sizes)
    with locked(folder):
        begin(settings, folder)
        clock = Clock(folder / "seconds.json", time.monotonic, SECONDS_BETWEEN_NOTES)
        for one in splits:
            _write_split(one, data)
        trained, scored = _train(plan, splits, n, clock), _score(plan, splits, tests, n, clock)
        collected = collect(plan, folder, splits, tests)
        # A run that only looks at what is done takes no part in its time.
        seconds = clock.total() if trained or scored else clock.before
        collected.results["settings"] = settings | {"wall_seconds": seconds, "processes": n}
        _write(collected, folder)
    return collected.results


def _write(collected: Collected, folder: Path) -> None:
    write_json(folder / "results.json", without_nan(collected.results))
    write_text(folder / "tables.md", report(collected.results))
    for (size, name), pairs in collected.pairs.items():
        save_figures(pairs, folder / "figures", f"train-{size}-{in_file_names(name)}", name)


def _splits(plan: Plan, folder: Path, data: DataSet, sizes: Sequence[Sizes]) -> list[Split]:
    """Return all splits; nothing is written before they are known to be possible."""
    groups = groups_of(data.pool, plan.source.group_key)
    require_groups(groups, plan.source.group_key, 3 if data.test else 4)
    splits = []
    for own in sizes:
        for seed in range(plan.seeds):
            parts = split(groups, own, derive_seed(seed, "split"))
            known = elements([data.pool[k] for k in parts["training"]])
            for name, frames in {IN_DOMAIN: [*data.pool, *data.test], **data.others}.items():
                require_elements(frames, known, data.sources[name])
            splits.append(Split(folder / f"train-{own.training}" / f"seed-{seed}", own.training, seed, parts))
    return splits


def _write_split(one: Split, data: DataSet) -> None:
    if (one.folder / "split.json").is_file():
        return
    for name in ("training", "validation", "calibration"):
        write_structures(one.folder / f"{name}.extxyz", [data.pool[k] for k in one.parts[name]])
    in_domain = [data.pool[k] for k in one.parts["test"]] or data.test
    for name, frames in {IN_DOMAIN: in_domain, **data.others}.items():
        write_structures(test_place(one.folder, name, ".extxyz"), frames)
    write_json(one.folder / "split.json", one.parts)


def _train(plan: Plan, splits: Sequence[Split], processes: int, clock: Clock) -> int:
    settings = (plan.architecture, plan.training, plan.uncertainty)
    items = [
        TrainingItem(one.folder, kind, k, one.seed, *settings)
        for one in splits
        for kind, number in _kinds(plan).items()
        for k in range(number)
    ]
    epochs = plan.training.epochs
    return _do(train_item, items, "training {} networks", epochs, lambda item: str(item.path), processes, clock)


def _score(plan: Plan, splits: Sequence[Split], tests: tuple[str, ...], processes: int, clock: Clock) -> int:
    items = [
        ScoringItem(one.folder, method, one.seed, plan.uncertainty, tests, plan.source.group_key)
        for one in splits
        for method in plan.methods
    ]
    return _do(score_item, items, "scoring {} times", 1, lambda item: str(item.place), processes, clock)


def _do(
    function: Callable[[Any, Callable[[int], None]], None],
    items: Sequence[Any],
    title: str,
    steps: int,
    name: Callable[[Any], str],
    processes: int,
    clock: Clock,
) -> int:
    """Do what is not done, and note the time; return how many items that were."""
    left = [item for item in items if not item.is_done]
    if not left:
        return 0
    with progress(title.format(len(left)), len(left) * steps) as update:

        def shown(done: float, note: str) -> None:
            update(done, note)
            clock.note()

        run_in_processes(function, left, processes, shown, name)
    return len(left)


def _kinds(plan: Plan) -> dict[str, int]:
    """Return how many networks of each kind are needed; those of the ensemble serve all that need a plain one."""
    numbers: dict[str, int] = {}
    for method in plan.methods:
        kind = kind_of(method, plan.uncertainty)
        needed = networks_for(plan.uncertainty.model_copy(update={"method": method})).number
        numbers[kind] = max(numbers.get(kind, 0), needed)
    return {kind: numbers[kind] for kind in sorted(numbers, key=lambda kind: kind != PLAIN)}
