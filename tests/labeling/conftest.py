from pathlib import Path

import numpy as np
import pytest

from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.reference import ReferenceMethod
from uqcv.structures import Structure

TOPOLOGY = Path(__file__).parents[2] / "systems" / "alanine_dipeptide" / "topology.pdb"


class Springs(ReferenceMethod):
    """Atoms on springs to the origin; refuses a structure whose first atom is beyond 5 Å, counts its labels."""

    name = "springs"

    def __init__(self) -> None:
        self.labelled = 0

    def energy_and_forces(self, structure):
        self.labelled += 1
        if structure.positions[0, 0] > 5.0:
            raise LookupError("too far\nand a traceback")
        return 0.5 * float((structure.positions**2).sum()), -structure.positions


@pytest.fixture
def springs() -> Springs:
    return Springs()


@pytest.fixture(scope="session")
def topology_path() -> Path:
    return TOPOLOGY


@pytest.fixture(scope="session")
def alanine(topology_path) -> OpenMMForceField:
    return OpenMMForceField(topology_path)


@pytest.fixture
def copper() -> Structure:
    positions = [[0.0, 0.0, 0.0], [2.3, 0.1, 0.0], [1.1, 2.0, 0.3]]
    return Structure(numbers=np.array([29, 29, 29]), positions=np.array(positions))


@pytest.fixture
def assert_forces_are_the_gradient():
    def check(method: ReferenceMethod, structure: Structure, step: float = 1e-4) -> None:
        forces = method.label(structure).forces
        for atom, axis in np.ndindex(len(structure), 3):
            shift = np.zeros_like(structure.positions)
            shift[atom, axis] = step
            ahead = method.label(structure.with_positions(structure.positions + shift)).energy
            behind = method.label(structure.with_positions(structure.positions - shift)).energy
            assert forces[atom, axis] == pytest.approx(-(ahead - behind) / (2 * step), abs=2e-5)

    return check
