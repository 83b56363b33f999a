"""The ways to run biased dynamics that are compared."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from uqcv.benchmarks.cases import Case
from uqcv.benchmarks.ensemble import EnsembleForce
from uqcv.benchmarks.memory import forget_peak, peak_memory
from uqcv.benchmarks.stopwatch import Stopwatch
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import export
from uqcv.colvars.uncertainty_cv import UncertaintyCV, shared_cv
from uqcv.sampling.bias import plumed_text
from uqcv.sampling.settings import SamplerName, SamplingSettings
from uqcv.simulation.checkpoint import Checkpoint
from uqcv.simulation.dynamics import System, langevin_context
from uqcv.simulation.force_functions import NetworkForce, PlumedForce, add_function
from uqcv.simulation.forces import add_plumed, bare_system
from uqcv.simulation.plumed_bridge import Judge
from uqcv.simulation.topology import read_topology, topology_bonds
from uqcv.simulation.validity import MoleculeGuard, ValiditySettings
from uqcv.uncertainty.pooling import Pooling
from uqcv.units import FS_TO_PS, NM_TO_ANGSTROM

Method = Literal[
    "plain-eager",
    "plain-compiled",
    "pycv",
    "pycv-shared",
    "fused",
    "walker",
    "ensemble-5",
    "ensemble-5-loop",
    "monitor",
]
METHODS: tuple[Method, ...] = get_args(Method)
REFERENCE: Method = "plain-compiled"  # that ratios are taken to
TEMPERATURE, FRICTION = 300.0, 0.001  # K, 1/fs
COMPONENT: Pooling = "smooth_max"
CHECKPOINT_INTERVAL = SamplingSettings().checkpoint_interval  # s
# The bias of an ensemble is on an EXTRACV, as a fused one; its height is small, it shall cost time and move nothing.
ENSEMBLE_INPUT = """u: EXTRACV NAME=u
metad: METAD ARG=u SIGMA=0.01 HEIGHT=0.01 PACE=100 BIASFACTOR=10 TEMP=300 FILE=HILLS
PRINT ARG=u,metad.bias STRIDE=40 FILE=COLVAR
"""


@dataclass(frozen=True)
class Conditions:
    """What is the same for all methods.

    Attributes
    ----------
    turns
        How often each method has its turn; medians are over turns.
    seed
        Of velocities, thermostats and potentials.
    dtype, device
        Of the network.
    only
        Methods and peers to time beside `plain-compiled`; all of them if it is empty.
    starts
        Processes of each method: one may be slower than another by a tenth for its whole life.
    """

    turns: int
    seed: int
    dtype: str
    device: str
    only: tuple[str, ...] = ()
    starts: int = 1


@dataclass(frozen=True)
class Run:
    """Dynamics that can be stepped, and what times the parts of a step.

    Attributes
    ----------
    step
        Takes a number of steps.
    close
        Ends it.
    watch
        Knows the parts: forward and backward pass of the network, PLUMED's own commands, and the checks around them.
    save
        Writes a checkpoint; None where there is none.
    """

    step: Callable[[int], None]
    close: Callable[[], None]
    watch: Stopwatch
    save: Callable[[], None] | None = None


class Starter:
    """Starts the runs of one case.

    Parameters
    ----------
    case
        The system.
    folder
        Where PLUMED writes, a folder for each method.
    conditions
        Seed, precision and device.
    """

    def __init__(self, case: Case, folder: Path, conditions: Conditions) -> None:
        self.case, self.folder, self.conditions = case, folder, conditions
        self.bundle = Bundle.load(case.bundle)
        self.topology = read_topology(case.topology)

    def bare(self) -> Run:
        """Return dynamics without a force, but with the overhead of one in Python."""
        system, nothing = bare_system(self.topology), np.zeros((len(self.case.start), 3))
        add_function(system, lambda state: (0.0, nothing), self.case.start.is_periodic)
        return self._run(system, self.folder, lambda: None, Stopwatch())

    def start(self, method: Method) -> Run:
        """Return dynamics by one of the methods."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{method}-", dir=self.folder))
        system = bare_system(self.topology)
        cv = self._cv(method)
        with contextlib.chdir(folder):
            if method.startswith("ensemble"):
                return self._ensemble(system, cv, folder, batched=method == "ensemble-5" and cv.is_complete)
            network, watch = NetworkForce(cv), Stopwatch()
            add_function(system, network, self.case.start.is_periodic)
            bias = None if method.startswith("plain") else self._add_bias(system, network, method)
        for evaluated in {cv, *([self._cv("fused")] if method == "pycv" else [])}:
            time_network(evaluated, watch)
        if bias is None:
            return self._run(system, folder, lambda: None, watch)
        bridge = bias.bridge
        if method == "walker":
            bridge.judge = self._judge()
        bridge.evaluate = watch.timing("checks", bridge.evaluate)  # type: ignore[method-assign]
        bridge.command = watch.timing("plumed", bridge.command)
        return self._run(system, folder, bias.close, watch, (network, bias) if method == "walker" else None)

    def _judge(self) -> Judge:
        """Return what a walker asks before a hill is deposited; the answer is dropped, for dynamics shall go on."""
        start = self.case.start
        guard = MoleculeGuard.from_structure(start, topology_bonds(self.topology) or None, ValiditySettings())

        def judge(positions: np.ndarray, box: np.ndarray) -> None:
            guard.problem(positions * NM_TO_ANGSTROM, box * NM_TO_ANGSTROM if start.is_periodic else None)

        return judge

    def _cv(self, method: Method) -> UncertaintyCV:
        """Return what a network force evaluates: of plain dynamics the energy alone."""
        start, plain = self.case.start, method.startswith("plain")
        dtype, device = getattr(torch, self.conditions.dtype), self.conditions.device
        make = UncertaintyCV if plain or method == "pycv" else shared_cv
        numbers, pbc = start.numbers.tolist(), start.pbc.tolist()
        alone = plain or method in ("pycv", "ensemble-5", "ensemble-5-loop")
        return make(self.bundle, numbers, pbc, dtype, device, method != "plain-eager", uncertain=not alone)

    def _add_bias(self, system: System, network: NetworkForce, method: Method) -> PlumedForce:
        start, case, conditions = self.case.start, self.case, self.conditions
        numbers, pbc = start.numbers.tolist(), start.pbc.tolist()
        export(self.bundle, Path("cv"), numbers, pbc, [COMPONENT], conditions.dtype, conditions.device, compiled=True)
        sampler: SamplerName = "monitor" if method == "monitor" else "metadynamics"
        settings = SamplingSettings(sampler=sampler, time_step=case.time_step)
        text = plumed_text(self.bundle, len(start), settings, TEMPERATURE)
        assert text is not None
        fused = method in ("fused", "walker", "monitor")
        return add_plumed(
            system, self.topology, text, TEMPERATURE, case.time_step, Path("cv"), Path("plumed.log"),
            network=network, fused=fused,
        )  # fmt: skip

    def _ensemble(self, system: System, cv: UncertaintyCV, folder: Path, batched: bool) -> Run:
        masses = self.case.start.masses
        time_step = self.case.time_step * FS_TO_PS
        force = EnsembleForce(cv, ENSEMBLE_INPUT, masses, time_step, TEMPERATURE, Path("plumed.log"), batched)
        add_function(system, force, self.case.start.is_periodic)
        return self._run(system, folder, force.bridge.close, Stopwatch())

    def _run(
        self,
        system: System,
        folder: Path,
        close: Callable[[], None],
        watch: Stopwatch,
        saved: tuple[NetworkForce, PlumedForce] | None = None,
    ) -> Run:
        context = langevin_context(
            system, self.case.start, TEMPERATURE, FRICTION, self.case.time_step, self.conditions.seed
        )

        def within(action: Callable[..., None]) -> Callable[..., None]:
            def act(*arguments: int) -> None:
                with contextlib.chdir(folder):  # PLUMED opens HILLS only at the first hill
                    action(*arguments)

            return act

        checkpoint = Checkpoint(folder / "checkpoint.zip", context, *saved) if saved else None
        if checkpoint:
            checkpoint.start()
        save = within(checkpoint.save) if checkpoint else None
        return Run(within(lambda n: context.getIntegrator().step(n)), within(close), watch, save)


def time_network(cv: UncertaintyCV, watch: Stopwatch) -> None:
    """Let `watch` see the passes of the network of `cv`."""
    passes = cv.passes
    passes.forward = watch.timing("forward", passes.forward)  # type: ignore[method-assign]
    passes.backward = watch.timing("backward", passes.backward)  # type: ignore[method-assign]


class TimedRun:
    """One method at work on one case, to be kept in a process of its own.

    Parameters
    ----------
    case, folder, conditions
        As for `Starter`.
    method
        Which; None for dynamics without a network.
    """

    def __init__(self, case: Case, folder: Path, conditions: Conditions, method: Method | None) -> None:
        starter = Starter(case, folder, conditions)
        self._run = starter.start(method) if method else starter.bare()
        self._run.step(1)  # compiles
        forget_peak()

    def turn(self, n: int) -> dict[str, float]:
        """Take `n` steps and return the seconds of one (step) and, within it, of its parts.

        A checkpoint is written after them; a step bears its share of one in `CHECKPOINT_INTERVAL`.
        """
        self._run.watch.reset()
        start = time.perf_counter()
        self._run.step(n)
        step = (time.perf_counter() - start) / n
        parts = {name: total / n for name, total in self._run.watch.seconds.items()}
        if self._run.save is not None:
            start = time.perf_counter()
            self._run.save()
            parts["checkpoint"] = (time.perf_counter() - start) * step / CHECKPOINT_INTERVAL
        return {"step": step + parts.get("checkpoint", 0.0)} | parts

    def finish(self) -> float:
        """Close the files; return the peak of this process's memory since it was made, GiB."""
        peak = peak_memory()
        self._run.close()
        return peak
