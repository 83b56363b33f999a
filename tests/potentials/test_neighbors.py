"""Neighbour pairs against counting by hand, and graphs of several structures."""

import numpy as np
import pytest
import torch

from uqcv.potentials.neighbors import (
    COMPLETE_MAX_ATOMS,
    build_graph,
    complete_graph,
    find_pairs,
    is_best_complete,
    merge_graphs,
)
from uqcv.structures import Structure


def as_set(pairs) -> set[tuple[int, ...]]:
    return {(int(i), int(j), *map(int, s)) for i, j, s in zip(pairs.i, pairs.j, pairs.shifts, strict=True)}


def by_hand(structure: Structure, cutoff: float) -> set[tuple[int, ...]]:
    """All pairs over all images within five cells."""
    reach = [range(-5, 6) if p else (0,) for p in structure.pbc]
    found = set()
    for shift in np.stack(np.meshgrid(*reach), -1).reshape(-1, 3):
        moved = structure.positions + shift @ structure.cell
        distances = np.linalg.norm(moved[None] - structure.positions[:, None], axis=2)
        near = (distances < cutoff) & (distances > 0)
        found |= {(int(i), int(j), *map(int, shift)) for i, j in np.argwhere(near)}
    return found


@pytest.mark.parametrize("pbc", [(1, 1, 1), (1, 1, 0), (0, 0, 1), (0, 0, 0)])
def test_pairs_of_a_small_triclinic_cell(crystal, pbc):
    # the cell is smaller than the cutoff, so atoms see their own images
    s = Structure(crystal.numbers, crystal.positions, crystal.cell, np.array(pbc, bool))
    pairs = find_pairs(s.positions, s.cell, s.pbc, 4.0)
    assert as_set(pairs) == by_hand(s, 4.0)
    assert len(pairs.i) == len(as_set(pairs)), "a pair was found twice"
    if s.pbc.any():
        assert (pairs.i == pairs.j).any()


def test_a_slab_needs_no_third_cell_vector(crystal):
    cell = crystal.cell.copy()
    cell[2] = 0.0
    s = Structure(crystal.numbers, crystal.positions, cell, np.array([True, True, False]))
    assert as_set(find_pairs(s.positions, s.cell, s.pbc, 4.0)) == by_hand(s, 4.0)


def test_every_pair_has_its_reverse(crystal):
    pairs = as_set(find_pairs(crystal.positions, crystal.cell, crystal.pbc, 4.0))
    assert {(j, i, -a, -b, -c) for i, j, a, b, c in pairs} == pairs


def test_atoms_outside_the_cell(crystal):
    moved = crystal.positions + np.array([[3, 0, 0], [0, -2, 0], [0, 0, 0], [1, 1, 1]]) @ crystal.cell
    inside = build_graph(crystal, 4.0, torch.float64).vectors().norm(dim=1).sort().values
    outside = build_graph(crystal.with_positions(moved), 4.0, torch.float64).vectors().norm(dim=1).sort().values
    np.testing.assert_allclose(inside, outside, atol=1e-10)


def test_which_systems_are_best_complete():
    assert is_best_complete(22, np.zeros(3, bool))
    assert not is_best_complete(22, np.array([False, False, True]))
    assert not is_best_complete(COMPLETE_MAX_ATOMS + 1, np.zeros(3, bool))


def test_a_complete_graph_has_all_vectors_and_sets_atoms_apart_from_themselves(molecule):
    vectors = complete_graph(molecule, torch.float64).vectors().reshape(22, 22, 3)
    others = ~np.eye(22, dtype=bool)
    expected = molecule.positions[None] - molecule.positions[:, None]
    np.testing.assert_allclose(vectors[others], expected[others], atol=1e-12)
    assert vectors[~others].norm(dim=1).min() > 100


def test_vectors_point_from_i_to_j(crystal):
    graph = build_graph(crystal, 4.0, torch.float64)
    expected = crystal.positions[graph.links.j] + graph.offsets.numpy() - crystal.positions[graph.links.i]
    np.testing.assert_allclose(graph.vectors(), expected, atol=1e-12)


def test_merged_graphs_keep_their_vectors_apart(crystals, molecule):
    graphs = [build_graph(s, 4.0, torch.float64) for s in (crystals[0], molecule, crystals[1])]
    merged = merge_graphs(graphs)
    assert merged.n_structures == 3
    np.testing.assert_array_equal(merged.structure_of_atom, [0] * 4 + [1] * 22 + [2] * 4)
    np.testing.assert_array_equal(merged.vectors(), torch.cat([g.vectors() for g in graphs]))
    assert (merged.structure_of_atom[merged.links.i] == merged.structure_of_atom[merged.links.j]).all()
    np.testing.assert_array_equal(merged.numbers, torch.cat([g.numbers for g in graphs]))


def test_a_single_atom_has_no_pairs():
    graph = build_graph(Structure([8], np.zeros((1, 3))), 4.0)
    assert len(graph.links.i) == 0 and graph.vectors().shape == (0, 3)
