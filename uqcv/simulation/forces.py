"""A network and a PLUMED input as forces of any OpenMM `System`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import numpy as np
import openmm
import torch
from numpy.typing import NDArray
from openmm import app, unit

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.uncertainty_cv import shared_cv
from uqcv.errors import InputError, PlumedInputError
from uqcv.simulation.bias_files import BiasFiles
from uqcv.simulation.contexts import require_no_context
from uqcv.simulation.exported_cvs import bias_identity
from uqcv.simulation.force_functions import POTENTIAL_GROUP, NetworkForce, PlumedForce, add_function
from uqcv.simulation.fusing import FusedInput, NotFused, fuse
from uqcv.simulation.plumed_atoms import require_atoms
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.simulation.plumed_input import import_modules
from uqcv.simulation.topology import topology_numbers
from uqcv.units import FS_TO_PS

Array = NDArray[np.float64]
Fused = Literal["auto", True, False]
BIAS_GROUP = 1


def bare_system(topology: app.Topology, hydrogen_mass: float | None = None) -> openmm.System:
    """Return a `System` with the atoms and the box of a topology, and no force at all.

    Parameters
    ----------
    topology
        Atoms, bonds and box.
    hydrogen_mass
        Mass (amu) that every hydrogen gets from the heavy atom it is bonded to; None: that of the element. Heavier
        hydrogens allow longer time steps and leave the distribution of positions as it is: Feenstra, Hess &
        Berendsen, doi 10.1002/(SICI)1096-987X(199906)20:8<786::AID-JCC5>3.0.CO;2-B.

    Raises
    ------
    InputError
        If a heavy atom cannot give that much, or a hydrogen has none.
    """
    system = openmm.System()
    for mass in _masses(topology, hydrogen_mass):
        system.addParticle(mass)
    box = topology.getPeriodicBoxVectors()
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*box)
    return system


def _masses(topology: app.Topology, hydrogen_mass: float | None) -> Array:
    masses = np.array([atom.element.mass.value_in_unit(unit.dalton) for atom in topology.atoms()])
    if hydrogen_mass is None:
        return masses
    hydrogens = {atom.index for atom in topology.atoms() if atom.element is app.element.hydrogen}
    pairs = [(a.index, b.index) for a, b in topology.bonds()]
    holders = {h: x for a, b in pairs for h, x in ((a, b), (b, a)) if h in hydrogens and x not in hydrogens}
    if lonely := sorted(hydrogens - set(holders)):
        raise InputError(
            f"hydrogen_mass: hydrogen {lonely[0]} has no bond to a heavy atom in the topology; add its bonds (CONECT), "
            "or set hydrogen_mass to null and time_step to 0.5"
        )
    for hydrogen, heavy in holders.items():
        masses[heavy] -= hydrogen_mass - masses[hydrogen]
        masses[hydrogen] = hydrogen_mass
    if masses.min() < hydrogen_mass:
        raise InputError(
            f"hydrogen_mass {hydrogen_mass:g} amu leaves atom {int(masses.argmin())} with {masses.min():.2f} amu; "
            "give less, or none"
        )
    return masses


def add_potential(
    system: openmm.System,
    topology: app.Topology,
    bundle: Bundle | Path | str,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    compiled: bool = False,
    group: int = POTENTIAL_GROUP,
) -> NetworkForce:
    """Add the network of a bundle to `system`; return the function behind the force.

    Parameters
    ----------
    system
        Any OpenMM system of the atoms in `topology`; forces that it has are kept.
    topology
        Names the elements; the system is periodic if it has a box.
    bundle
        The potential, or its folder.
    dtype, device, compiled
        As for `UncertaintyCV`; an exported CV with the same three shares the network's evaluation.
    group
        Force group.

    Raises
    ------
    UnknownElementError
        If the potential does not know an element.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(Path(bundle))
    pbc = [topology.getPeriodicBoxVectors() is not None] * 3
    cv = shared_cv(bundle, topology_numbers(topology), pbc, dtype, device, compiled, uncertain=False)
    function = NetworkForce(cv)
    add_function(system, function, pbc[0], group)
    return function


def add_plumed(
    system: openmm.System,
    topology: app.Topology,
    text: str | Path,
    temperature: float,
    time_step: float,
    module_folder: Path | str | None = None,
    log: Path | None = None,
    group: int = BIAS_GROUP,
    network: NetworkForce | None = None,
    fused: Fused = "auto",
) -> PlumedForce:
    """Add the bias of a PLUMED input to `system`; return the function behind the force.

    Parameters
    ----------
    system, topology
        As for `add_potential`.
    text
        The PLUMED input, or the path of a file with it.
    temperature
        K.
    time_step
        Of the integrator, fs.
    module_folder
        Folder that `uqcv export` wrote, if the input uses the uncertainty.
    log
        Where PLUMED writes its log.
    group
        Force group, so that the bias can be asked for alone; a fused bias is in the group of the network.
    network
        What `add_potential` returned for this system: a bias on its own uncertainty is fused with it, which saves a
        backward pass per step.
    fused
        Whether to fuse: "auto" says what is in the way, True refuses to go on without.

    Raises
    ------
    PlumedInputError
        If PLUMED refuses the input, it gives a CV of ours other atoms than it was exported for, or it cannot be fused
        and must be.
    IdentityError
        If it reads hills, states or grids of another uncertainty or input.
    """
    if isinstance(text, Path) or (isinstance(text, str) and "\n" not in text and Path(text).is_file()):
        text = Path(text).read_text(encoding="utf-8")
    periodic = topology.getPeriodicBoxVectors() is not None
    masses = np.array([system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(system.getNumParticles())])
    folder = Path(module_folder) if module_folder is not None else None
    import_modules(text, folder)
    require_atoms(text, topology_numbers(topology))
    found = _fused(text, network, fused)
    if found is None:
        require_no_context(system, PlumedForce.__name__)  # before PLUMED touches any file
    names = tuple(found.components) if found else ()
    files = BiasFiles.of(text)
    files.require_same()
    files.make_ready()
    backups = files.backups()
    bridge = PlumedBridge(found.text if found else text, masses, time_step * FS_TO_PS, temperature, None, log, names)
    try:
        files.claim(backups)
        function = PlumedForce(bridge, periodic, found, bias_identity(text), files)
        if found and network:
            network.fused = function
        else:
            add_function(system, function, periodic, group)
    except BaseException:
        bridge.close()
        raise
    return function


def _fused(text: str, network: NetworkForce | None, wanted: Fused) -> FusedInput | None:
    if network is None or wanted is False:
        return None
    found = fuse(text, network.cv) if network.fused is None else NotFused("another bias is fused with it already")
    if isinstance(found, FusedInput):
        return found
    if wanted is True:
        raise PlumedInputError(f"the bias cannot be fused: {found.reason or 'it is not on an uncertainty'}")
    if found.reason:
        print(f"uqcv: the bias is not fused with the network (slower, same numbers): {found.reason}", file=sys.stderr)
    return None
