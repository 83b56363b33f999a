"""What a campaign begins with, and what is refused before it does: nothing is computed or written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uqcv.active_learning.descriptors import require_describable
from uqcv.analysis.ramachandran import read_free_energy
from uqcv.config import Config
from uqcv.errors import InputError
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.reference import ReferenceMethod, build_reference
from uqcv.potentials.devices import require_device
from uqcv.sampling.bias import try_bias
from uqcv.sampling.proposals import bonds_to_turn
from uqcv.seeding import derive_seed
from uqcv.simulation.forces import bare_system
from uqcv.simulation.topology import Topology, read_topology, topology_numbers
from uqcv.simulation.torsions import backbone_torsions, heavy_torsions
from uqcv.structures import Structure, read_structures

Torsions = Mapping[str, tuple[int, int, int, int]]


@dataclass(frozen=True)
class Beginning:
    """What the settings of a campaign name.

    Attributes
    ----------
    method
        Labels structures.
    torsions
        Name -> four atom indices from 0.
    start
        The structure to relax first.
    """

    method: ReferenceMethod
    torsions: Torsions
    start: Structure


def beginning(config: Config) -> Beginning:
    """Return what a campaign begins with, if all its stages can be.

    Raises
    ------
    InputError
        For files that do not fit one another, and for what a later stage would refuse.
    """
    method, topology = build_reference(config.reference), read_topology(config.system.topology)
    torsions = backbone_or_named(config, topology)
    _require_possible_test(config, method, torsions)
    _require_sampling(config, topology, torsions)
    start = starting_structure(config, topology)
    require_describable(config.harvest.descriptor, start.is_periodic, bool(heavy_torsions(topology)))
    _require_files(config)
    return Beginning(method, torsions, start)


def backbone_or_named(config: Config, topology: Topology) -> Torsions:
    """Return the torsions that a campaign draws maps of.

    Raises
    ------
    InputError
        If `initial.keep` names another, or a torsion names atoms that are not there.
    """
    chosen = config.system.torsions
    torsions = dict(backbone_torsions(topology) if chosen == "backbone" else chosen or {})
    unknown = sorted(set(config.initial.keep) - set(torsions))
    if unknown:
        raise InputError(f"initial.keep names the torsion {unknown[0]}; system.torsions has {sorted(torsions)}")
    n_atoms = topology.getNumAtoms()
    for name, atoms in torsions.items():
        if not all(0 <= k < n_atoms for k in atoms):
            raise InputError(
                f"system.torsions: {name} names the atoms {list(atoms)}; indices from 0 to {n_atoms - 1} are expected"
            )
    return torsions


def starting_structure(config: Config, topology: Topology) -> Structure:
    """Return the first frame of the user's own data, or the positions in the PDB file."""
    numbers = topology_numbers(topology)
    source = config.initial.file or config.system.topology
    start = read_structures(source)[0]
    if start.numbers.tolist() != numbers:
        raise InputError(f"{source}: its atoms are not those of {config.system.topology} in the same order")
    return Structure(start.numbers, start.positions, start.cell, start.pbc)


def own_frames(config: Config) -> list[Structure]:
    """Return frames of the user's file, shuffled by the seed."""
    assert config.initial.file is not None
    frames = read_structures(config.initial.file, labelled=True)
    wanted = config.initial.held_out + 2
    if len(frames) < wanted:
        raise InputError(
            f"{config.initial.file}: {len(frames)} frames were given; at least {wanted} are expected with "
            f"initial.held_out = {config.initial.held_out}"
        )
    order = np.random.default_rng(derive_seed(config.seed, "own frames")).permutation(len(frames))
    kept = order[: config.initial.frames + config.initial.held_out]
    return [frames[int(k)].with_info(origin="initial") for k in kept]


def _require_possible_test(config: Config, method: ReferenceMethod, torsions: Torsions) -> None:
    wanted = config.test.file is None and config.test.ramachandran_grid is not None
    if wanted and (not isinstance(method, OpenMMForceField) or len(torsions) != 2):
        raise InputError("test.ramachandran_grid needs two torsions and an OpenMM reference; give test.file instead")


def _require_sampling(config: Config, topology: Topology, torsions: Torsions) -> None:
    """Refuse now what no walker could have later, after all training."""
    bare_system(topology, config.sampling.hydrogen_mass)
    try_bias(config.sampling, topology.getNumAtoms(), torsions)
    bonds_to_turn(config.sampling.sampler, topology, config.system.topology)


def _require_files(config: Config) -> None:
    """Refuse files that a later stage would stumble over."""
    if config.system.free_energy is not None:
        read_free_energy(config.system.free_energy)
    if config.initial.file is not None:
        own_frames(config)
    if config.test.file is not None:
        read_structures(config.test.file, labelled=True)
    require_device(config.training.device, "training.device")
    require_device(config.sampling.device, "sampling.device")
