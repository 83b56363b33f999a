"""What tells structures apart: it does not change with what makes no difference, and changes with what does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uqcv.active_learning.descriptors import (
    AMIDE_WEIGHT,
    counted,
    distance_descriptor,
    structure_descriptor,
    torsion_descriptor,
)
from uqcv.errors import InputError
from uqcv.simulation.torsions import HeavyTorsion, backbone_torsions, bond_pairs, heavy_torsions, torsion_angle, turn

quick = settings(max_examples=60, deadline=None)


@quick
@given(seed=st.integers(0, 10_000))
def test_descriptor_is_invariant_to_order_within_the_molecule(seed):
    random = np.random.default_rng(seed)
    numbers, features = random.choice([1, 6, 8], 12), random.normal(size=(12, 5))
    order = random.permutation(12)
    plain = structure_descriptor(features, numbers)
    assert plain.shape == (10 * len(set(numbers)),)
    np.testing.assert_allclose(structure_descriptor(features[order], numbers[order]), plain, atol=1e-12)


def test_descriptor_is_the_mean_and_deviation_of_each_element():
    features, numbers = np.array([[1.0], [3.0], [7.0]]), np.array([1, 1, 6])
    assert structure_descriptor(features, numbers).tolist() == [2.0, 1.0, 7.0, 0.0]
    assert structure_descriptor(features, numbers, elements=[8, 6, 1]).tolist() == [0.0, 0.0, 7.0, 0.0, 2.0, 1.0]
    frames = structure_descriptor(np.stack([features, 2 * features]), numbers)
    assert frames.tolist() == [[2.0, 1.0, 7.0, 0.0], [4.0, 2.0, 14.0, 0.0]]
    with pytest.raises(InputError, match=r"\[1\]"):
        structure_descriptor(features, numbers, elements=[6])
    with pytest.raises(InputError, match="expected"):
        structure_descriptor(features, numbers[:2])


def test_distances_do_not_change_with_place_and_hydrogens(molecule, rotation):
    plain = distance_descriptor(molecule.positions, molecule.numbers)
    assert plain.shape == (45,)
    moved = molecule.positions @ rotation.T + 3.0
    np.testing.assert_allclose(distance_descriptor(moved, molecule.numbers), plain, atol=1e-12)
    shaken = molecule.positions + (molecule.numbers == 1)[:, None] * 0.1
    np.testing.assert_array_equal(distance_descriptor(shaken, molecule.numbers), plain)


def test_a_conformer_is_farther_than_a_vibration(frames, force_field):
    """Another phi is farther from a frame than all other frames of its basin, one step of vibration hardly at all."""
    torsion = backbone_torsions(force_field.topology)["phi"]
    start = frames[0]
    turned = turn(start.positions, bond_pairs(force_field.topology), torsion, 60.0)
    near = distance_descriptor(start.positions, start.numbers)
    far = np.linalg.norm(distance_descriptor(turned, start.numbers) - near)
    others = [np.linalg.norm(distance_descriptor(s.positions, s.numbers) - near) for s in frames[1:]]
    assert far > 1.5 * max(others)


def test_small_molecules_count_all_their_atoms():
    assert counted([7, 1, 1, 1]).tolist() == [0, 1, 2, 3]
    assert counted([8, 6, 1, 7]).tolist() == [0, 1, 3]


def test_torsions_are_told_by_cosine_and_sine(molecule, rotation, force_field):
    torsions = heavy_torsions(force_field.topology)
    angles = np.radians([torsion_angle(molecule.positions, t.atoms) for t in torsions])
    scale = np.where([t.is_amide for t in torsions], AMIDE_WEIGHT, 1.0)
    found = torsion_descriptor(molecule.positions, torsions)
    np.testing.assert_allclose(found, np.concatenate([scale * np.cos(angles), scale * np.sin(angles)]), atol=1e-12)
    np.testing.assert_allclose(torsion_descriptor(molecule.positions @ rotation.T + 1, torsions), found, atol=1e-12)


def test_a_twisted_amide_is_nearer_than_a_turned_bond(molecule, force_field):
    torsions = heavy_torsions(force_field.topology)
    start = torsion_descriptor(molecule.positions, torsions)

    def away(torsion, angle):
        by = torsion_angle(molecule.positions, torsion.atoms) + angle
        turned = turn(molecule.positions, bond_pairs(force_field.topology), torsion.atoms, by)
        return np.linalg.norm(torsion_descriptor(turned, torsions) - start)

    amide, single = (next(t for t in torsions if t.is_amide == kind) for kind in (True, False))
    assert away(amide, 30.0) == pytest.approx(AMIDE_WEIGHT * away(single, 30.0))
    assert away(amide, 180.0) > away(single, 10.0), "cis and trans"


@quick
@given(seed=st.integers(0, 10_000), bend=st.floats(0, 3))
def test_torsions_of_straight_groups_hardly_count(seed, bend):
    """C-C-C≡N, bent by a few degrees in any direction; a straight one has no torsion, and no NaN."""
    angle, way = np.radians(bend), np.random.default_rng(seed).uniform(0, 2 * np.pi)
    last = [np.cos(angle), np.sin(angle) * np.cos(way), np.sin(angle) * np.sin(way)]
    positions = np.array([[-0.5, 1.4, 0.0], [0.0, 0.0, 0.0], [1.46, 0.0, 0.0], [1.46 + 1.16 * last[0], *last[1:]]])
    found = torsion_descriptor(positions, [HeavyTorsion((0, 1, 2, 3), False)])
    assert np.isfinite(found).all() and np.linalg.norm(found) < 2 * 1.1 * np.sin(angle) + 1e-12
