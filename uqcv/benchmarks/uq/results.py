"""From the scores that lie in the folder of a comparison to what is reported of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uqcv.benchmarks.speed import describe_machine
from uqcv.benchmarks.uq.cost import time_methods
from uqcv.benchmarks.uq.places import IN_DOMAIN, MADE_AGAIN, OUT_OF_DOMAIN, test_place
from uqcv.benchmarks.uq.plan import Plan
from uqcv.benchmarks.uq.scores import Pair, Scores, read_calibration, read_tested
from uqcv.benchmarks.uq.split import Split
from uqcv.benchmarks.uq.statistics import UNITS, covered, differences, judge, pooled_coverage, resampled, summarise
from uqcv.files import read_json, write_json
from uqcv.progress import progress
from uqcv.seeding import derive_seed
from uqcv.structures import read_structures

REFERENCE = "ensemble"


@dataclass(frozen=True)
class Collected:
    """What a comparison came to.

    Attributes
    ----------
    results
        What is written as results.json.
    pairs
        By size of the training set and test set: of each method, for each seed, scores of calibration and test.
    """

    results: dict[str, Any]
    pairs: dict[tuple[int, str], dict[str, list[Pair]]] = field(default_factory=dict)


def collect(plan: Plan, folder: Path, splits: Sequence[Split], tests: Sequence[str]) -> Collected:
    """Return metrics, differences, coverage and cost of all methods.

    Parameters
    ----------
    plan
        The comparison.
    folder
        Its folder.
    splits
        All of them, trained and scored.
    tests
        Names of the test sets, that in the domain first.

    Raises
    ------
    InputError
        If a file in the folder is damaged.
    """
    others = tests[1:]
    sets = {name: (name,) for name in tests} | ({OUT_OF_DOMAIN: tuple(others)} if len(others) > 1 else {})
    empty: dict[str, Any] = {name: [] for name in ("metrics", "differences", "coverage")}
    found = Collected({"machine": describe_machine(), "units": UNITS, "sets": {}, **empty})
    sizes = list(dict.fromkeys(one.size for one in splits))
    with progress("statistics", len(sizes) * len(sets)) as update:
        for k, (size, name) in enumerate((size, name) for size in sizes for name in sets):
            _add(found, plan, [one for one in splits if one.size == size], name, sets[name])
            update(k + 1, "")
    found.results["cost"] = _cost(plan, folder, splits)
    return found


def without_nan(value: Any) -> Any:
    """Return plain values with None for what is not finite, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _add(found: Collected, plan: Plan, splits: Sequence[Split], name: str, parts: Sequence[str]) -> None:
    size, results = splits[0].size, found.results
    where = {"training": size, "test": name}
    places = {str(method): [one.folder / "methods" / method for one in splits] for method in plan.methods}
    pairs = {m: [(read_calibration(p), read_tested(p, parts)) for p in own] for m, own in places.items()}
    found.pairs[size, name] = pairs
    rows = {method: [judge(*pair) for pair in own] for method, own in pairs.items()}
    # The same draws for all seeds: where they are tested on the same frames, those do not become more by that.
    seed = derive_seed(0, "bootstrap", name)
    draws = {method: [resampled(*pair, seed) for pair in own] for method, own in pairs.items()}
    results["sets"][f"{size}, {name}"] = sizes_of(splits, pairs[plan.methods[0]])
    for method in pairs:
        said = {**where, "method": method}
        summary = summarise(rows[method], draws[method])
        results["metrics"].append({**said, "seeds": len(splits), "metrics": summary})
        results["coverage"].append({**said, "kinds": coverage_of(pairs[method])})
    if REFERENCE in pairs:
        results["differences"] += [{**where, **row} for row in differences(draws, rows, REFERENCE)]


def sizes_of(splits: Sequence[Split], pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return how many frames each part has with each seed, which may be fewer than were asked for."""
    parts = {part: [len(one.parts[part]) for one in splits] for part in ("training", "validation", "calibration")}
    tested = [test for _, test in pairs]
    return {**parts, "frames": [len(t.counts) for t in tested], "independent": _independent(tested)}


def _independent(tested: Sequence[Scores]) -> int:
    return len({group for test in tested for group in test.groups.tolist()})


def coverage_of(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Return the coverage of frames and atoms over all seeds, by each kind of calibration; see `pooled_coverage`."""
    shares, tested = [covered(*pair) for pair in pairs], [test for _, test in pairs]
    counts = {"frame": [len(t.counts) for t in tested], "atom": [len(t.atomic) for t in tested]}
    independent = _independent(tested)
    return {
        kind: pooled_coverage([share[kind] for share in shares], counts[kind.split("_")[0]], independent)
        for kind in shares[0]
    }


def _cost(plan: Plan, folder: Path, splits: Sequence[Split]) -> list[dict[str, Any]]:
    """Return what each method costs: training and fit, mean over splits of each size, and a compiled step."""
    path = folder / "steps.json"
    if not (path.is_file() and set(plan.methods) <= set(read_json(path, MADE_AGAIN))):
        place = splits[0].folder
        frames = read_structures(test_place(place, IN_DOMAIN, ".extxyz"))
        same = [s for s in frames if s.numbers.tolist() == frames[0].numbers.tolist()]
        bundles = {method: place / "methods" / method / "bundle" for method in plan.methods}
        write_json(path, time_methods(bundles, same, plan.training.device))
    steps, rows = read_json(path, MADE_AGAIN), []
    for size in dict.fromkeys(one.size for one in splits):
        own = [one for one in splits if one.size == size]
        for method in plan.methods:
            costs = [read_json(one.folder / "methods" / method / "cost.json", MADE_AGAIN) for one in own]
            means = {key: sum(cost[key] for cost in costs) / len(costs) for key in costs[0]}
            rows.append({"training": size, "method": method, **means, "ms_per_step": steps[method]["ms"]})
    return rows
