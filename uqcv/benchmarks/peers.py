"""What others do: dynamics in ASE with SchNetPack's PaiNN or MACE, alone and biased through PLUMED.

Their networks are not trained, since that changes no time; to keep the structure as it is nevertheless, the time step
is a millionth of a femtosecond. The biased runs have a PyCV that evaluates a second copy of the network and its
gradient, as a variable made from features of the same network does.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import ase
import numpy as np
import torch
from ase import units
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.plumed import Plumed
from ase.md.langevin import Langevin

from uqcv.benchmarks.cases import Case
from uqcv.benchmarks.memory import forget_peak, peak_memory
from uqcv.benchmarks.methods import FRICTION, TEMPERATURE, Conditions
from uqcv.colvars.uncertainty_cv import SKIN
from uqcv.errors import MissingEngineError
from uqcv.potentials.painn import PaiNNSettings
from uqcv.simulation.plumed_kernel import pycv_plugin, require_plumed
from uqcv.units import ANGSTROM_TO_NM, NM_TO_ANGSTROM

Peer = Literal["schnetpack", "schnetpack-plumed", "mace", "mace-plumed"]
PEERS: tuple[Peer, ...] = get_args(Peer)
MOST_ATOMS = 1000  # beyond, a step takes too long and too much memory
TIME_STEP = 1e-6  # fs
CHANNELS = 64
MODULE = "uqcv_benchmark_peer"
MODULE_TEXT = """from uqcv.benchmarks import peers

plumedInit = {"Value": {"period": None, "derivative": True}}
plumedCalculate = lambda action: peers.second.calculate(action)
"""
INPUT = """LOAD FILE={plugin}
e: PYCVINTERFACE ATOMS=1-{n_atoms} IMPORT={module}
metad: METAD ARG=e SIGMA=0.1 HEIGHT=0.01 PACE=100 BIASFACTOR=10 TEMP=300 FILE=HILLS
PRINT ARG=e,metad.bias STRIDE=40 FILE=COLVAR
"""


def require_peer(peer: Peer, n_atoms: int) -> None:
    """Say why a peer cannot run.

    Raises
    ------
    MissingEngineError
        If its package is not there, or there are too many atoms for it.
    """
    package = peer.split("-")[0]
    if importlib.util.find_spec(package) is None:
        raise MissingEngineError(f"{package} is not installed")
    if n_atoms > MOST_ATOMS:
        raise MissingEngineError(f"{n_atoms} atoms take too long; {MOST_ATOMS} are timed at most")


class PeerRun:
    """Dynamics by a peer, to be kept in a process of its own.

    Parameters
    ----------
    case
        The system.
    folder
        Where PLUMED writes, a folder for each peer.
    conditions
        Seed, precision and device.
    peer
        Which.
    """

    def __init__(self, case: Case, folder: Path, conditions: Conditions, peer: Peer) -> None:
        global second
        name, _, biased = peer.partition("-")
        (folder / peer).mkdir(parents=True, exist_ok=True)
        os.chdir(folder / peer)
        start, make = case.start, CALCULATORS[name]
        atoms = ase.Atoms(start.numbers, start.positions, cell=start.cell, pbc=start.pbc)
        random = np.random.default_rng(conditions.seed)
        own: Calculator = make(case, conditions)
        if biased:
            second = SecondNetwork(atoms.copy(), make(case, conditions))
            own = _biased(atoms, own)
        atoms.calc = own
        friction = FRICTION / units.fs
        step = TIME_STEP * units.fs
        self._dynamics = Langevin(atoms, step, temperature_K=TEMPERATURE, friction=friction, rng=random, fixcm=False)
        self._dynamics.run(1)
        forget_peak()

    def turn(self, n: int) -> dict[str, float]:
        """Take `n` steps and return the seconds of one."""
        start = time.perf_counter()
        self._dynamics.run(n)
        return {"step": (time.perf_counter() - start) / n}

    def finish(self) -> float:
        """Return the peak of this process's memory since it was made, GiB."""
        return peak_memory()


class SecondNetwork:
    """A collective variable that costs what one made from the network's features costs: its energy per atom."""

    def __init__(self, atoms: ase.Atoms, calculator: Calculator) -> None:
        self._atoms = atoms
        self._atoms.calc = calculator

    def calculate(self, action: Any) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the value in eV, its gradient per nm and none by the box."""
        self._atoms.positions = action.getPositions() * NM_TO_ANGSTROM
        value, forces = self._atoms.get_potential_energy(), self._atoms.get_forces()
        gradient = -forces / len(forces) / ANGSTROM_TO_NM
        return float(value) / len(forces), np.array(gradient, dtype=np.float64), np.zeros((3, 3))


second: SecondNetwork  # of this process; the module that PLUMED imports asks for it


def _biased(atoms: ase.Atoms, calculator: Calculator) -> Calculator:
    require_plumed()
    Path(f"{MODULE}.py").write_text(MODULE_TEXT)
    sys.path.insert(0, os.getcwd())
    text = INPUT.format(plugin=pycv_plugin(), n_atoms=len(atoms), module=MODULE)
    step, energy = TIME_STEP * units.fs, units.kB * TEMPERATURE
    return Plumed(calculator, text.splitlines(), step, atoms=atoms, kT=energy, log="plumed.log")


def _schnetpack(case: Case, conditions: Conditions) -> Calculator:
    """Return PaiNN of the size of ours."""
    from schnetpack import properties
    from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
    from schnetpack.interfaces import SpkCalculator
    from schnetpack.model import NeuralNetworkPotential
    from schnetpack.nn import BesselRBF, CosineCutoff
    from schnetpack.representation import PaiNN
    from schnetpack.transform import MatScipyNeighborList, SkinNeighborList

    class Together(SpkCalculator):
        """Energy and forces at once; it would evaluate the network for each, and ASE's Plumed asks for both."""

        def calculate(self, atoms: ase.Atoms, properties: list[str], system_changes: list[str] = all_changes) -> None:
            super().calculate(atoms, ["energy", "forces"], system_changes)

    settings, width = PaiNNSettings(), CHANNELS
    radial = BesselRBF(settings.n_radial, settings.cutoff)
    torch.manual_seed(conditions.seed)
    network = NeuralNetworkPotential(
        PaiNN(width, settings.n_layers, radial, CosineCutoff(settings.cutoff)),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(n_in=width, output_key=properties.energy), Forces()],
    )
    torch.save(network, "schnetpack.model")
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # SchNetPack unpickles, here what was just written
    return Together(
        "schnetpack.model",
        SkinNeighborList(MatScipyNeighborList(settings.cutoff), cutoff_skin=SKIN),
        energy_unit="eV",
        position_unit="Ang",
        device=conditions.device,
        dtype=getattr(torch, conditions.dtype),
    )


def _mace(case: Case, conditions: Conditions) -> Calculator:
    """Return two layers of 64 scalar channels."""
    from e3nn.o3 import Irreps
    from mace.calculators import MACECalculator
    from mace.modules import ScaleShiftMACE, interaction_classes

    numbers = sorted({int(z) for z in case.start.numbers})
    torch.set_default_dtype(getattr(torch, conditions.dtype))
    torch.manual_seed(conditions.seed)
    block = interaction_classes["RealAgnosticResidualInteractionBlock"]
    network = ScaleShiftMACE(
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
        r_max=PaiNNSettings().cutoff,
        num_bessel=PaiNNSettings().n_radial,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=len(numbers),
        hidden_irreps=Irreps(f"{CHANNELS}x0e"),
        MLP_irreps=Irreps("16x0e"),
        atomic_energies=np.zeros(len(numbers)),
        avg_num_neighbors=20.0,
        atomic_numbers=numbers,
        correlation=3,
        gate=torch.nn.functional.silu,
    )
    return MACECalculator(models=[network], device=conditions.device, default_dtype=conditions.dtype)


CALCULATORS: dict[str, Callable[[Case, Conditions], Calculator]] = {"schnetpack": _schnetpack, "mace": _mace}
