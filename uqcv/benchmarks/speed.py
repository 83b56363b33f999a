"""What a step costs by each method, side by side in one run; and what training costs."""

from __future__ import annotations

import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import uqcv
from uqcv.benchmarks.cases import Case, copper, crystal, molecule
from uqcv.benchmarks.methods import METHODS, Method, Run, Starter
from uqcv.errors import InputError
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.neighbors import is_best_complete
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train
from uqcv.progress import progress, say
from uqcv.structures import Structure, elements, read_structures

SECONDS_PER_TURN = 0.1  # short, so that a machine that changes its speed does so for all methods alike
WARM_UP = 20
TRAINING_EPOCHS = 9


@dataclass(frozen=True)
class Row:
    """One method on one system.

    Attributes
    ----------
    system, atoms, method
        What.
    ms_per_step
        Median over turns, ms.
    spread
        Half the distance between the quartiles over turns, ms.
    parts
        Medians of the parts of a step, ms: forward, backward, plumed, openmm, and glue for what is left; empty where
        they are not told apart.
    """

    system: str
    atoms: int
    method: str
    ms_per_step: float
    spread: float
    parts: dict[str, float]


def benchmark_speed(
    folder: Path, molecule_pdb: Path, sizes: Sequence[int], turns: int, seed: int, dtype: str, device: str
) -> dict[str, Any]:
    """Time all methods on a molecule and on crystals; return what is written as JSON.

    Parameters
    ----------
    folder
        Keeps the potentials, which are trained once.
    molecule_pdb
        PDB of a molecule that amber14 knows.
    sizes
        Numbers of atoms of the crystals; may be empty.
    turns
        How often each method has its turn; medians are over turns.
    seed
        Of everything.
    dtype, device
        Of the network.

    Raises
    ------
    InputError
        For sizes, a precision or a device that cannot be.
    """
    _require(sizes, dtype, device)
    cases = [molecule(folder, molecule_pdb, seed), *(copper(folder, n, seed) for n in sizes)]
    rows = [row for case in cases for row in time_methods(case, turns, seed, dtype, device)]
    training = time_training(cases[0], seed, device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {
        "machine": describe_machine(),
        "settings": {"turns": turns, "seed": seed, "dtype": dtype, "device": device, "peak_memory_gib": peak},
        "rows": [asdict(row) for row in rows],
        "training": training,
    }


def _require(sizes: Sequence[int], dtype: str, device: str) -> None:
    for n_atoms in sizes:
        crystal(n_atoms)
    if dtype not in ("float32", "float64"):
        raise InputError(f"--dtype {dtype} was given; float32 or float64 is expected")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device} was given; torch cannot use it: {str(error).splitlines()[0]}") from error


def describe_machine() -> dict[str, Any]:
    """Return what the times depend on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "uqcv": uqcv.__version__,
    }


def time_methods(case: Case, turns: int, seed: int, dtype: str, device: str) -> list[Row]:
    """Return a row for each method, each of which had its turn, with its parts, `turns` times."""
    with tempfile.TemporaryDirectory() as scratch:
        starter = Starter(case, Path(scratch), seed, dtype, device)
        bare, runs = starter.bare(), _started(starter, case)
        steps = {method: _steps_per_turn(run.step) for method, run in runs.items()}
        times: dict[str, list[dict[str, float]]] = {method: [] for method in runs}
        with progress(f"{case.name}, {len(case.start)} atoms", turns) as update:
            for turn in range(turns):
                openmm = _per_call(bare.step, 500)
                for method, run in runs.items():
                    times[method].append(_turn(run, steps[method]) | {"openmm": openmm})
                update(turn + 1, "")
        rows = [_row(case, method, times[method]) for method in runs]
        for run in runs.values():
            run.close()
    return rows


def _turn(run: Run, n: int) -> dict[str, float]:
    """Return the seconds of a step and, within it, of its parts."""
    run.watch.reset()
    return {"step": _per_call(run.step, n)} | {name: total / n for name, total in run.watch.seconds.items()}


def _started(starter: Starter, case: Case) -> dict[Method, Run]:
    runs: dict[Method, Run] = {}
    for method in METHODS:
        if method == "ensemble-5-loop" and not is_best_complete(len(case.start), case.start.pbc):
            continue  # ensemble-5 is in that form, the faster one over tables of neighbours
        say(f"  {case.name}, {len(case.start)} atoms: starting {method}")
        runs[method] = starter.start(method)
        runs[method].step(1)  # compiles
    return runs


def _row(case: Case, method: Method, turns: Sequence[dict[str, float]]) -> Row:
    times = {name: 1e3 * np.array([turn[name] for turn in turns]) for name in turns[0]}
    low, high = np.quantile(times["step"], (0.25, 0.75))
    parts = {name: float(np.median(values)) for name, values in times.items()}
    step = parts.pop("step")
    split = parts | {"glue": step - sum(parts.values())} if "forward" in parts else {}
    return Row(case.name, len(case.start), method, step, float(high - low) / 2, split)


def _steps_per_turn(step: Callable[[int], None]) -> int:
    step(WARM_UP if _per_call(step, 1) < 0.2 else 1)
    return max(2, round(SECONDS_PER_TURN / _per_call(step, 2)))


def _per_call(step: Callable[[int], None], n: int) -> float:
    start = time.perf_counter()
    step(n)
    return (time.perf_counter() - start) / n


def time_training(case: Case, seed: int, device: str) -> list[dict[str, Any]]:
    """Return frames per second of training, eager and compiled, for one thread and for as many as torch takes."""
    frames = read_structures(case.training, labelled=True)
    all_threads, rows = torch.get_num_threads(), []
    for compiled in (False, True):
        method = "compiled" if compiled else "eager"
        for threads in sorted({1, all_threads}):
            say(f"  training, {method}, threads: {threads}")
            torch.set_num_threads(threads)
            rate = len(frames) / _seconds_per_epoch(frames, seed, device, compiled)
            rows.append({"system": case.name, "method": method, "threads": threads, "frames_per_second": rate})
    torch.set_num_threads(all_threads)
    return rows


def _seconds_per_epoch(frames: Sequence[Structure], seed: int, device: str, compiled: bool) -> float:
    """Return the median over epochs but the first, which compiles; validation is on one frame and counts for little."""
    torch.manual_seed(seed)
    cutoff, times = PaiNNSettings().cutoff, []
    seen, unseen = Dataset(frames, cutoff, device=device), Dataset(frames[:1], cutoff, device=device)
    potential = new_potential(seen, Potential(elements(frames))).to(device)
    settings = TrainingSettings(epochs=TRAINING_EPOCHS, device=device, compiled=compiled)
    train(potential, seen, unseen, settings, seed, report=lambda *_: times.append(time.perf_counter()))
    return float(np.median(np.diff(times)))
