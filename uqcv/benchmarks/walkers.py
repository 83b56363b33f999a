"""What it takes to start the walkers of a generation: as copies of one process, and each by itself."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from uqcv.benchmarks.cases import Case, load, molecule
from uqcv.benchmarks.speed import describe_machine
from uqcv.processes import core_seconds
from uqcv.progress import progress
from uqcv.sampling.runner import run_walkers
from uqcv.sampling.settings import SamplingSettings
from uqcv.sampling.strategies import Site, plan_walkers
from uqcv.structures import read_structures

WAYS = {"copies": True, "fresh": False}
FRAMES = 2  # of a walk: the first step compiles, or loads what was compiled


@dataclass(frozen=True)
class Start:
    """What one way of starting takes, for all walkers.

    Attributes
    ----------
    way
        A name of `WAYS`.
    wall, core
        Medians over turns, s: until the last has ended, and of all cores.
    """

    way: str
    wall: float
    core: float


def benchmark_walkers(folder: Path, pdb: Path, walkers: int, turns: int, seed: int) -> dict[str, Any]:
    """Start walkers of a few steps in both ways in turn; return what is written as JSON.

    Parameters
    ----------
    folder
        Keeps the potential, which is trained once.
    pdb
        A molecule that amber14 knows.
    walkers
        How many, as many at a time as there are cores.
    turns
        Of each way, beside one before that compiles.
    seed
        Of everything.
    """
    case = molecule(folder, pdb, seed)
    _started(case, walkers, seed, copies=True)
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with progress(f"{walkers} walkers of {case.name}", turns) as update:
        for turn in range(turns):
            for way, copies in WAYS.items():
                spent[way].append(_started(case, walkers, seed, copies))
            update(turn + 1, "")
    rows = [Start(way, *map(float, np.median(times, axis=0))) for way, times in spent.items()]
    settings = {"molecule": str(pdb), "walkers": walkers, "turns": turns, "seed": seed}
    return {"machine": describe_machine(), "settings": settings, "rows": [vars(row) for row in rows]}


def _started(case: Case, walkers: int, seed: int, copies: bool) -> tuple[float, float]:
    """Return the seconds that walkers took, by the clock and of all cores."""
    settings = SamplingSettings(walkers=walkers, time_step=case.time_step, temperatures=(100.0,))
    settings = settings.model_copy(update={"length": FRAMES * settings.frame_interval})
    starts = [read_structures(case.training)[0]] * walkers
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(Path(scratch), case.bundle, case.topology, case.start, 0.0)
        plans = plan_walkers(load(case), site, starts, settings, seed)
        clock, cores = time.perf_counter(), core_seconds()
        run_walkers(plans, None, copies=copies)
        return time.perf_counter() - clock, core_seconds() - cores


def walkers_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the seconds of each way, and their ratio to those of the first."""
    table = Table(title="s for all walkers: medians over turns")
    for name in ("walkers begin as", "clock", "of first", "cores", "of first"):
        table.add_column(name, justify="right" if table.columns else "left")
    for row in rows:
        cells = [word for key in ("wall", "core") for word in (f"{row[key]:.1f}", f"{row[key] / rows[0][key]:.2f}")]
        table.add_row(row["way"], *cells)
    return table
