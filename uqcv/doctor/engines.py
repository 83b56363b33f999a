"""Checks of the engines, each by a small run. Each imports what it needs itself: any of it may be broken."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqcv.doctor.check import CheckError, Patient, require
from uqcv.simulation.plumed_kernel import (
    plumed_module,
    plumed_program,
    program_environment,
    pycv_plugin,
    python_library,
    require_plumed,
)

if TYPE_CHECKING:
    from uqcv.simulation.plumed_bridge import PlumedBridge

LOG = Path("kernel.log")
TWO_ATOMS = np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])  # nm
DISTANCE = "d: DISTANCE ATOMS=1,2\n"
MODULE = "uqcv_doctor_cv"
# The distance of two atoms as a CV in Python; two components, since PyCV drops the name of one that is alone.
PYTHON_CV = """import numpy as np
plumedInit = {"COMPONENTS": {k: {"period": None, "derivative": True} for k in ("one", "two")}}
def plumedCalculate(action):
    a, b = action.getPositions()
    length = np.linalg.norm(b - a)
    gradient = np.array([a - b, b - a]) / length
    return {k: (length, gradient, np.zeros((3, 3))) for k in ("one", "two")}
"""
PYTHON_INPUT = f"u: PYCVINTERFACE ATOMS=1,2 IMPORT={MODULE}\n"
FRAME = "2\n5 5 5\nH 0.0 0.0 0.0\nH 0.3 0.0 0.0\n"  # for the program; nm


def openmm_works(patient: Patient) -> str:
    """Ask OpenMM for the energy of a Python function."""
    from uqcv.simulation.dynamics import System, langevin_context, platform_names, potential_energy
    from uqcv.simulation.force_functions import add_function
    from uqcv.structures import Structure

    def spring(state: Any) -> tuple[float, np.ndarray]:
        return 3.5, np.zeros((1, 3))

    system = System()
    system.addParticle(1.0)
    add_function(system, spring, periodic=False)
    context = langevin_context(system, Structure(np.array([1]), np.zeros((1, 3))), 300.0, 0.001, 0.5, seed=1)
    energy, names = potential_energy(context), ", ".join(platform_names())
    return require(energy == 3.5, f"PythonForce gives {energy:g} kJ/mol (3.5 is expected); platforms: {names}")


def plumed_there(patient: Patient) -> str:
    """Import the module `plumed`."""
    return str(plumed_module().__file__)


def kernel(patient: Patient) -> str:
    """Load the kernel and let it deposit a hill."""
    require_plumed()
    bias = _bridge(DISTANCE + "METAD ARG=d SIGMA=0.1 HEIGHT=2 PACE=1 FILE=HILLS\n")
    energies = [bias.evaluate(step, TWO_ATOMS)[0] for step in range(3)]
    bias.close()
    version = next((line.split("Version:")[1].strip() for line in _log() if "Version:" in line), "of unknown version")
    detail = f"a hill gives a bias of {energies[-1]:g} kJ/mol"
    return f"{version}; {require(energies[-1] > 0, detail)}"


def _bridge(text: str, extra: tuple[str, ...] = ()) -> PlumedBridge:
    """Return PLUMED on two atoms; what stopped its kernel from loading is added to the error."""
    from uqcv.errors import MissingEngineError
    from uqcv.simulation.plumed_bridge import PlumedBridge

    try:
        return PlumedBridge(text, np.ones(2), 0.0005, 300.0, Path.cwd(), LOG, extra)
    except MissingEngineError as error:
        said = LOG.with_suffix(".stderr")
        lines = said.read_text(errors="replace").splitlines() if said.is_file() else []
        reason = next((line.strip("+ ") for line in lines if "dlopen" in line), "")
        raise CheckError(f"{error} {reason}") from error


def _log() -> list[str]:
    return LOG.read_text(errors="replace").splitlines()


def extra_cv(patient: Patient) -> str:
    """Hand PLUMED a number and take the derivative of the bias back."""
    bias = _bridge("x: EXTRACV NAME=x\nRESTRAINT ARG=x AT=1 KAPPA=100\n", ("x",))
    energy, _ = bias.evaluate(0, TWO_ATOMS, extra=[3.0])
    force = bias.extra_forces[0]
    bias.close()
    return require((energy, force) == (200.0, -200.0), f"bias {energy:g}, force {force:g} (200 and -200 are expected)")


def opes(patient: Patient) -> str:
    """Let OPES deposit a kernel."""
    bias = _bridge(DISTANCE + "OPES_METAD ARG=d PACE=1 BARRIER=10 SIGMA=0.1 TEMP=300 FILE=KERNELS\n")
    energies = [bias.evaluate(step, TWO_ATOMS)[0] for step in range(3)]
    bias.close()
    return require(energies[-1] != energies[0], f"a kernel changes the bias by {energies[-1] - energies[0]:.3g} kJ/mol")


def plugin(patient: Patient) -> str:
    """Let PLUMED ask Python for a distance."""
    path = pycv_plugin()
    Path(f"{MODULE}.py").write_text(PYTHON_CV)
    bias = _bridge(f"{PYTHON_INPUT}RESTRAINT ARG=u.py-one AT=0 KAPPA=100\n")
    energy, forces = bias.evaluate(0, TWO_ATOMS)
    bias.close()
    right = np.isclose(energy, 4.5) and np.allclose(forces, [[30.0, 0, 0], [-30.0, 0, 0]])
    detail = f"{path}; a spring of 0.3 nm in Python gives {energy:g} kJ/mol (4.5 is expected)"
    return require(bool(right), detail)


def libpython(patient: Patient) -> str:
    """Look for this Python's shared library, which the program needs."""
    return str(python_library())


def program(patient: Patient) -> str:
    """Run the program on a frame with a CV in Python."""
    here = Path.cwd()
    Path(f"{MODULE}.py").write_text(PYTHON_CV)
    Path("frame.xyz").write_text(FRAME)
    Path("plumed.dat").write_text(f"LOAD FILE={pycv_plugin()}\n{PYTHON_INPUT}PRINT ARG=u.py-one FILE=COLVAR\n")
    command = [str(plumed_program()), "driver", "--plumed", "plumed.dat", "--ixyz", "frame.xyz"]
    done = subprocess.run(command, env=program_environment(here), capture_output=True, text=True, timeout=100)
    if done.returncode:
        words = [line.strip() for line in (done.stderr + done.stdout).splitlines() if "rror" in line]
        raise CheckError(f"{command[0]} ended with exit code {done.returncode}: {next(iter(words), '')}")
    value = float(np.loadtxt("COLVAR", ndmin=2)[0, 1])
    return (
        f"{command[0]}; {require(abs(value - 0.3) < 1e-6, f'a distance in Python is {value:g} nm (0.3 is expected)')}"
    )
