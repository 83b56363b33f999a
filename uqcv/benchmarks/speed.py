"""What a step costs by each method, side by side in one run; and what training costs."""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import uqcv
from uqcv.benchmarks.cases import Case, copper, crystal, molecule
from uqcv.benchmarks.methods import METHODS, REFERENCE, Conditions, Method, TimedRun
from uqcv.benchmarks.peers import PEERS, Peer, PeerRun, require_peer
from uqcv.errors import InputError, UqcvError
from uqcv.files import read_with, write_json
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.devices import require_device
from uqcv.potentials.neighbors import is_best_complete
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train
from uqcv.processes import available_cores
from uqcv.progress import progress, say
from uqcv.remote import RemoteObject
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
        Medians of the parts of a step, ms: forward, backward, plumed, checks, a share of a checkpoint, openmm, and glue
        for what is left; empty where they are not told apart.
    peak_memory
        Of the process with this method alone, once it runs, GiB.
    """

    system: str
    atoms: int
    method: str
    ms_per_step: float
    spread: float
    parts: dict[str, float]
    peak_memory: float


def benchmark_speed(
    folder: Path, molecule_pdb: Path, sizes: Sequence[int], conditions: Conditions, partial: Path
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
    conditions
        Turns, seed, precision and device.
    partial
        File that keeps the rows of systems that are done until all are: a benchmark that was stopped goes on with the
        next one.

    Raises
    ------
    InputError
        For sizes, a precision or a device that cannot be.
    """
    _require(sizes, conditions)
    seed, settings = conditions.seed, asdict(conditions) | {"molecule": str(molecule_pdb)}
    rows = _kept(partial, settings)
    cases = [molecule(folder, molecule_pdb, seed), *(copper(folder, n, seed) for n in sizes)]
    result = {"machine": describe_machine(), "settings": settings, "rows": rows}
    for case in cases:
        if all((row["system"], row["atoms"]) != (case.name, len(case.start)) for row in rows):
            rows += [asdict(row) for row in time_methods(case, conditions)]
            write_json(partial, result)
    training = [] if conditions.only else time_training(cases[0], seed, conditions.device)
    partial.unlink(missing_ok=True)
    return result | {"training": training}


def _kept(partial: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that a benchmark with these settings on this machine left when it was stopped."""
    if not partial.is_file():
        return []
    kind, advice = "a benchmark that was stopped", "delete it to begin again"
    machine, before, rows = read_with(partial, _machine_settings_rows, kind, advice)
    if machine != describe_machine() or before != json.loads(json.dumps(settings)):
        return []
    say(f"  going on from {partial}; delete it to begin again")
    return rows


def _machine_settings_rows(path: Path) -> tuple[Any, Any, list[dict[str, Any]]]:
    kept = json.loads(path.read_text(encoding="utf-8"))
    return kept["machine"], kept["settings"], kept["rows"]


def _require(sizes: Sequence[int], conditions: Conditions) -> None:
    if unknown := [method for method in conditions.only if method not in (*METHODS, *PEERS)]:
        raise InputError(f"--only {unknown[0]} was given; choose from {', '.join((*METHODS, *PEERS))}")
    for n_atoms in sizes:
        crystal(n_atoms)
    if conditions.dtype not in ("float32", "float64"):
        raise InputError(f"--dtype {conditions.dtype} was given; float32 or float64 is expected")
    require_device(conditions.device)


def describe_machine() -> dict[str, Any]:
    """Return what the times depend on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "uqcv": uqcv.__version__,
    }


def time_methods(case: Case, conditions: Conditions) -> list[Row]:
    """Return a row for each method, each of which had its turn, in processes of its own, again and again."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        at_work = (case, Path(scratch), conditions)
        say(f"  {case.name}, {len(case.start)} atoms: starting the integrator alone")
        bare, runs = _started(stack, TimedRun, *at_work, None), _all_started(stack, *at_work)
        steps = {method: _steps_per_turn(own[0]) for method, own in runs.items()}
        times: dict[str, list[dict[str, float]]] = {method: [] for method in runs}
        with progress(f"{case.name}, {len(case.start)} atoms", conditions.turns) as update:
            for turn in range(conditions.turns):
                openmm = bare.call("turn", 500)["step"]
                for method, run in ((method, run) for method, own in runs.items() for run in own):
                    times[method].append(run.call("turn", steps[method]) | {"openmm": openmm})
                update(turn + 1, "")
        peaks = {method: max(run.call("finish") for run in own) for method, own in runs.items()}
        return [_row(case, method, times[method], peaks[method]) for method in runs]


def _all_started(stack: ExitStack, case: Case, folder: Path, conditions: Conditions) -> dict[str, list[RemoteObject]]:
    """Return the processes of each method; peers, of which no small difference is asked, have one."""
    runs: dict[str, list[RemoteObject]] = {}
    for _ in range(conditions.starts):
        for own in (method for method in METHODS if _has(method, case) and _is_wanted(method, conditions)):
            say(f"  {case.name}, {len(case.start)} atoms: starting {own}")
            runs.setdefault(own, []).append(_started(stack, TimedRun, case, folder, conditions, own))
    for peer in (peer for peer in PEERS if _is_wanted(peer, conditions)):
        if run := _started_peer(stack, case, folder, conditions, peer):
            runs[peer] = [run]
    return runs


def _started(stack: ExitStack, *arguments: Any) -> RemoteObject:
    run = RemoteObject(*arguments)
    stack.callback(run.close)
    run.wait()  # one after the other: the next one may use what this one compiles
    return run


def _started_peer(
    stack: ExitStack, case: Case, folder: Path, conditions: Conditions, peer: Peer
) -> RemoteObject | None:
    try:
        require_peer(peer, len(case.start))
        say(f"  {case.name}, {len(case.start)} atoms: starting {peer}")
        return _started(stack, PeerRun, case, folder, conditions, peer)
    except UqcvError as error:
        say(f"  {peer}: left out, {str(error).splitlines()[0]}")
        return None


def _has(method: Method, case: Case) -> bool:
    """Whether a method is one of its own; over tables of neighbours the loop is what `ensemble-5` is already."""
    return method != "ensemble-5-loop" or is_best_complete(len(case.start), case.start.pbc)


def _is_wanted(method: str, conditions: Conditions) -> bool:
    return not conditions.only or method in (REFERENCE, *conditions.only)


def _row(case: Case, method: str, turns: Sequence[dict[str, float]], peak_memory: float) -> Row:
    times = {name: 1e3 * np.array([turn[name] for turn in turns]) for name in turns[0]}
    low, high = np.quantile(times["step"], (0.25, 0.75))
    parts = {name: float(np.median(values)) for name, values in times.items()}
    step = parts.pop("step")
    split = parts | {"glue": step - sum(parts.values())} if "forward" in parts else {}
    return Row(case.name, len(case.start), method, step, float(high - low) / 2, split, peak_memory)


def _steps_per_turn(run: RemoteObject) -> int:
    first = run.call("turn", 1)["step"]
    run.call("turn", WARM_UP if first < 0.2 else 1)
    return max(2, round(SECONDS_PER_TURN / run.call("turn", 2)["step"]))


def time_training(case: Case, seed: int, device: str) -> list[dict[str, Any]]:
    """Return frames per second of training, eager and compiled, on one core and on all as threads and as processes."""
    frames, cores, rows = read_structures(case.training, labelled=True), available_cores(), []
    for method in ("eager", "compiled"):
        for processes, threads in sorted({(1, 1), (1, cores), (cores, 1)}):
            say(f"  training, {method}, processes: {processes}, threads of each: {threads}")
            settings = TrainingSettings(
                epochs=TRAINING_EPOCHS,
                device=device,
                compiled=method == "compiled",
                processes=processes,
                threads=threads,
            )
            rate = len(frames) / _seconds_per_epoch(frames, settings, seed)
            rows.append({"system": case.name, "method": method, "processes": processes, "threads": threads,
                         "frames_per_second": rate})  # fmt: skip
    return rows


def _seconds_per_epoch(frames: Sequence[Structure], settings: TrainingSettings, seed: int) -> float:
    """Return the median over epochs but the first, which compiles; validation is on one frame and counts for little."""
    torch.manual_seed(seed)
    cutoff, times, device = PaiNNSettings().cutoff, [], settings.device
    seen, unseen = Dataset(frames, cutoff, device=device), Dataset(frames[:1], cutoff, device=device)
    potential = new_potential(seen, Potential(elements(frames))).to(device)
    train(potential, seen, unseen, settings, seed, report=lambda *_: times.append(time.perf_counter()))
    return float(np.median(np.diff(times)))
