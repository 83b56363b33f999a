"""Displaced atoms and turned torsions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uqcv.sampling.coordinates import AtomDisplacements, TorsionDisplacements, rotate
from uqcv.simulation.torsions import rotatable_bonds, torsion_angle
from uqcv.simulation.validity import MoleculeGuard, ValiditySettings

ANGLES = arrays(np.float64, (2, 5), elements=st.floats(-3.1, 3.1))


@pytest.fixture(scope="module")
def bonds(force_field):
    return rotatable_bonds(force_field.topology)


@pytest.fixture(scope="module")
def start(frames):
    return torch.tensor(np.stack([frames[0].positions, frames[5].positions]))


def test_atoms_move_by_what_is_given(start):
    moved = torch.full(start.shape, 0.5)
    coordinates = AtomDisplacements(start)
    assert coordinates.shape == (2, 22, 3)
    torch.testing.assert_close(coordinates(moved), start + 0.5)


@given(angles=ANGLES)
@settings(max_examples=20, deadline=None)
def test_turning_keeps_bonds_angles_and_hands(angles, start, bonds, frames, force_field):
    turned = TorsionDisplacements(start, bonds)(torch.tensor(angles)).numpy()
    loose = ValiditySettings(new_bond=0.0, min_contact=0.0, max_bond_stretch=1.001, min_bond_ratio=0.999)
    bonded = [(b[0].index, b[1].index) for b in force_field.topology.bonds()]
    for place, frame in zip(turned, (frames[0], frames[5]), strict=True):
        assert MoleculeGuard.from_structure(frame, bonded, loose).problem(place) is None


def test_each_angle_turns_its_torsion(start, bonds, force_field):
    """By that angle, and all other torsions about single bonds not at all."""
    neighbours = {k: set() for k in range(22)}
    for a, b in force_field.topology.bonds():
        neighbours[a.index].add(b.index)
        neighbours[b.index].add(a.index)
    quartets = [
        (min(neighbours[b.fixed] - {b.moving}), b.fixed, b.moving, min(neighbours[b.moving] - {b.fixed})) for b in bonds
    ]
    for k in range(len(bonds)):
        angles = torch.zeros(2, len(bonds), dtype=torch.float64)
        angles[:, k] = 0.7
        turned = TorsionDisplacements(start, bonds)(angles).numpy()
        for j, quartet in enumerate(quartets):
            change = torsion_angle(turned[0], quartet) - torsion_angle(start[0].numpy(), quartet)
            expected = np.degrees(0.7) if j == k else 0.0
            assert (change - expected + 180) % 360 - 180 == pytest.approx(0, abs=1e-8)


def test_gradients_are_those_of_central_differences(start, bonds):
    coordinates = TorsionDisplacements(start, bonds)
    angles = torch.linspace(-1, 1, 2 * len(bonds), dtype=torch.float64).reshape(2, -1).requires_grad_(True)
    weights = torch.linspace(-1, 1, start.numel(), dtype=torch.float64).reshape(start.shape)
    assert torch.autograd.gradcheck(lambda a: (weights * coordinates(a) ** 2).sum(), angles)


def test_a_quarter_turn():
    z = torch.tensor([0.0, 0.0, 1.0])
    turned = rotate(torch.tensor([[1.0, 0.0, 2.0]]), z, torch.tensor([np.pi / 2]))
    torch.testing.assert_close(turned, torch.tensor([[0.0, 1.0, 2.0]]), atol=1e-6, rtol=0)
