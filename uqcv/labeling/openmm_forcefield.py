"""A classical force field in OpenMM as the reference method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from uqcv import units
from uqcv.errors import InputError, LabelingError
from uqcv.files import about, read_with
from uqcv.labeling.reference import ReferenceMethod, first_line
from uqcv.structures import Structure, require_distances


class OpenMMForceField(ReferenceMethod):
    """Label with a force field: no cutoff, no constraints, Reference platform (double precision).

    Parameters
    ----------
    topology
        PDB file with all atoms, hydrogens included.
    force_field
        Force-field files that OpenMM finds, such as ``amber14-all.xml``.

    Attributes
    ----------
    topology
        The `openmm.app.Topology` of the PDB file.
    structure
        Its atoms and positions (Å), without labels.

    Raises
    ------
    InputError
        If a file is missing or broken, or the force field does not know a residue.
    """

    def __init__(self, topology: Path, force_field: Sequence[str] = ("amber14-all.xml",)) -> None:
        pdb = read_with(topology, _read_pdb, "PDB")
        self.name = f"OpenMM {' '.join(force_field)} ({Path(topology).name}, vacuum, no cutoff)"
        self.topology: app.Topology = pdb.topology
        self.structure = Structure(
            numbers=np.array([atom.element.atomic_number for atom in pdb.topology.atoms()]),
            positions=pdb.getPositions(asNumpy=True).value_in_unit(unit.angstrom),
        )
        with about(topology):
            require_distances(self.structure)
        self._system = _parametrise(pdb.topology, force_field, topology)
        self._context = reference_context(self.create_system())

    def create_system(self) -> openmm.System:
        """Return a new `openmm.System`, free to be given more forces."""
        return openmm.XmlSerializer.clone(self._system)

    def energy_and_forces(self, structure: Structure) -> tuple[float, NDArray[np.float64]]:
        """Return the energy in eV and the forces in eV/Å, shape (n, 3).

        Raises
        ------
        LabelingError
            If the atoms are not those of the topology in its order, or the structure is periodic.
        """
        self._require_same_atoms(structure)
        self._context.setPositions(structure.positions * units.ANGSTROM_TO_NM)
        state = self._context.getState(energy=True, forces=True)
        energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
        return energy * units.KJMOL_TO_EV, forces * units.KJMOL_PER_NM_TO_EV_PER_ANGSTROM

    def _require_same_atoms(self, structure: Structure) -> None:
        expected, given = self.structure.numbers, structure.numbers
        if len(given) != len(expected):
            raise LabelingError(f"{len(given)} atoms were given; the topology has {len(expected)}")
        if (given != expected).any():
            k = int(np.argmax(given != expected))
            raise LabelingError(
                f"atom {k} has atomic number {given[k]} but the topology has {expected[k]} there; "
                "give the atoms in the order of the PDB file"
            )
        if structure.is_periodic:
            raise LabelingError("a periodic structure was given; this force field is for vacuum: set pbc to F")


def reference_context(
    system: openmm.System, integrator: openmm.Integrator | None = None, platform: str = "Reference"
) -> openmm.Context:
    """Return a context that gives the same numbers each time (by default in double precision)."""
    properties = {"Threads": "1", "DeterministicForces": "true"} if platform == "CPU" else {}
    return openmm.Context(
        system,
        integrator or openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName(platform),
        properties,
    )


def langevin(temperature: float, friction: float, time_step: float, seed: int) -> openmm.LangevinMiddleIntegrator:
    """Return a seeded integrator; temperature in K, friction in 1/fs, time step in fs.

    Leapfrog with the middle scheme, doi 10.1021/acs.jpca.9b02771.
    """
    integrator = openmm.LangevinMiddleIntegrator(temperature, friction * units.PS_TO_FS, time_step * units.FS_TO_PS)
    integrator.setRandomNumberSeed(seed % (2**31 - 1) + 1)  # 0 would mean: another seed each time
    return integrator


def _read_pdb(path: Path) -> app.PDBFile:
    if not any(line.startswith(("ATOM  ", "HETATM")) for line in path.read_text().splitlines()):
        raise InputError(f"{path}: no atoms; ATOM or HETATM records are expected")
    pdb = app.PDBFile(str(path))
    unknown = [atom.name for atom in pdb.topology.atoms() if atom.element is None]
    if unknown:
        raise InputError(f"{path}: atom {unknown[0]} has no element; fill the element column (77-78) of the PDB file")
    return pdb


def _parametrise(topology: app.Topology, force_field: Sequence[str], path: Path) -> openmm.System:
    try:
        field = app.ForceField(*force_field)
    except Exception as error:
        raise InputError(
            f"force_field {list(force_field)}: {first_line(error)}; "
            "give files that OpenMM knows, such as amber14-all.xml"
        ) from error
    try:
        return field.createSystem(topology, nonbondedMethod=app.NoCutoff, constraints=None, rigidWater=False)
    except ValueError as error:
        raise InputError(
            f"{path}: {first_line(error)}; give a topology with all hydrogens "
            f"whose residues are in {' '.join(force_field)}"
        ) from error
