"""Energy, forces and stress: derivatives of one another, invariant, and precise beside large offsets."""

import numpy as np
import pytest
import torch

from uqcv.errors import UnknownElementError
from uqcv.potentials.neighbors import build_graph, complete_graph, merge_graphs
from uqcv.potentials.potential import predict_with_forces, stress
from uqcv.structures import Structure

KINDS = ("molecule", "crystal")


@pytest.fixture(params=KINDS)
def system(request, make_potential):
    """A network, and a structure with its elements: a molecule, then a triclinic crystal."""
    elements = (1, 6, 7, 8) if request.param == "molecule" else (29, 79)
    return make_potential(elements), request.getfixturevalue(request.param)


def graph_of(structure: Structure, dtype=torch.float64):
    return build_graph(structure, 4.0, dtype)


def energy(potential, structure: Structure) -> float:
    with torch.no_grad():
        return potential(graph_of(structure)).energies.item()


def forces(potential, structure: Structure) -> np.ndarray:
    return predict_with_forces(potential, graph_of(structure))[1].numpy()


def everything(potential, graph):
    prediction, forces = predict_with_forces(potential, graph)
    return prediction.energies, forces, prediction.features


def test_forces_are_the_gradient_of_the_energy(system, assert_gradient):
    potential, structure = system

    def at(positions):
        return energy(potential, structure.with_positions(positions))

    assert_gradient(at, structure.positions, -forces(potential, structure))


def test_each_force_component(make_potential):
    ammonia = Structure([7, 1, 1, 1], [[0, 0, 0.1], [0.94, 0, -0.2], [-0.47, 0.81, -0.3], [-0.47, -0.82, -0.27]])
    potential = make_potential((1, 7))
    analytic = forces(potential, ammonia)
    for atom, axis in np.ndindex(4, 3):
        step = np.zeros((4, 3))
        step[atom, axis] = 1e-4
        ahead, behind = (energy(potential, ammonia.with_positions(ammonia.positions + s)) for s in (step, -step))
        assert analytic[atom, axis] == pytest.approx(-(ahead - behind) / 2e-4, abs=1e-8)


def test_stress_is_the_strain_derivative_over_the_volume(make_potential, crystal, strained, assert_gradient):
    potential = make_potential((29, 79))
    volume = abs(np.linalg.det(crystal.cell))
    computed = stress(potential, graph_of(crystal))[0].numpy()
    np.testing.assert_allclose(computed, computed.T, atol=1e-15)
    assert_gradient(lambda e: energy(potential, strained(crystal, e)), np.zeros((3, 3)), computed * volume)


def test_stress_is_positive_under_tension(make_potential, crystal, strained):
    potential = make_potential((29, 79))
    pressure = np.trace(stress(potential, graph_of(crystal))[0].numpy()) / 3
    larger, smaller = (strained(crystal, np.eye(3) * e) for e in (1e-4, -1e-4))
    slope = energy(potential, larger) - energy(potential, smaller)
    volumes = abs(np.linalg.det(larger.cell)) - abs(np.linalg.det(smaller.cell))
    assert pressure == pytest.approx(slope / volumes, rel=1e-5)


def test_the_energy_is_invariant(system, rotation):
    potential, s = system
    order = np.random.default_rng(0).permutation(len(s))
    turned = Structure(s.numbers, s.positions @ rotation.T, s.cell @ rotation.T, s.pbc)
    shifted = Structure(s.numbers, s.positions + np.array([3.0, -1.0, 40.0]), s.cell, s.pbc)
    permuted = Structure(s.numbers[order], s.positions[order], s.cell, s.pbc)
    for same in (turned, shifted, permuted):
        assert energy(potential, same) == pytest.approx(energy(potential, s), abs=1e-9)


def test_forces_turn_with_the_molecule(system, rotation):
    potential, s = system
    turned = Structure(s.numbers, s.positions @ rotation.T, s.cell @ rotation.T, s.pbc)
    np.testing.assert_allclose(forces(potential, turned), forces(potential, s) @ rotation.T, atol=1e-10)


def test_no_net_force_and_no_net_torque(potential, molecule):
    f = forces(potential, molecule)
    assert np.abs(f).max() > 1e-3
    np.testing.assert_allclose(f.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.cross(molecule.positions, f).sum(axis=0), 0.0, atol=1e-11)


def test_a_larger_cell_has_the_energy_of_its_parts(make_potential, crystal):
    potential = make_potential((29, 79))
    double = Structure(
        np.tile(crystal.numbers, 2),
        np.concatenate([crystal.positions, crystal.positions + crystal.cell[1]]),
        crystal.cell * np.array([[1.0], [2.0], [1.0]]),
        crystal.pbc,
    )
    assert energy(potential, double) == pytest.approx(2 * energy(potential, crystal), abs=1e-10)


def test_a_batch_equals_its_members(make_potential, frames, crystals):
    potential = make_potential((1, 6, 7, 8, 29, 79))
    graphs = [graph_of(s) for s in (frames[0], crystals[0], frames[1], crystals[1])]
    energies, all_forces, features = everything(potential, merge_graphs(graphs))
    singles = [everything(potential, g) for g in graphs]
    np.testing.assert_allclose(energies.detach(), torch.cat([e for e, _, _ in singles]).detach(), atol=1e-12)
    np.testing.assert_allclose(all_forces, torch.cat([f for _, f, _ in singles]), atol=1e-12)
    np.testing.assert_allclose(features.detach(), torch.cat([x for _, _, x in singles]).detach(), atol=1e-12)
    many = stress(potential, merge_graphs([graphs[1], graphs[3]]))
    np.testing.assert_allclose(many, torch.cat([stress(potential, g) for g in (graphs[1], graphs[3])]), atol=1e-13)


def test_complete_links_give_the_same_forces(potential, molecule, frames):
    structures = (molecule, frames[0])
    found = everything(potential, merge_graphs([graph_of(s) for s in structures]))
    complete = everything(potential, merge_graphs([complete_graph(s, torch.float64) for s in structures]))
    for a, b in zip(found, complete, strict=True):
        np.testing.assert_allclose(a.detach(), b.detach(), atol=1e-12)


def test_nothing_jumps_when_an_atom_crosses_the_cutoff(make_potential):
    potential = make_potential((6, 8))

    def at(distance: float) -> tuple[float, np.ndarray]:
        s = Structure([6, 6, 8], [[0, 0, 0], [1.4, 0, 0], [0, distance, 0]])
        return energy(potential, s), forces(potential, s)

    (e_in, f_in), (e_out, f_out) = at(4.0 - 1e-5), at(4.0 + 1e-5)
    assert abs(e_in - e_out) < 1e-9 and np.abs(f_in - f_out).max() < 1e-4
    # the oxygen is 4 Å from one carbon and 4.24 from the other: outside, it is alone
    np.testing.assert_array_equal(f_out[2], 0.0)
    assert np.abs(at(3.5)[1][2]).max() > 1e-5


def test_an_unknown_element_is_refused(potential):
    with pytest.raises(UnknownElementError, match=r"\[16, 17\] were given; the model knows \[1, 6, 7, 8\]"):
        potential(graph_of(Structure([17, 16, 1], [[0, 0, 0], [2, 0, 0], [0, 2, 0]])))


def test_single_precision_agrees_with_double(make_potential, molecule):
    single, double = (make_potential(dtype=d) for d in (torch.float32, torch.float64))
    e32, f32, x32 = everything(single, graph_of(molecule, torch.float32))
    e64, f64, x64 = everything(double, graph_of(molecule))
    assert f32.dtype == torch.float32 and f64.dtype == torch.float64 and e32.dtype == torch.float64
    assert e32.item() == pytest.approx(e64.item(), abs=1e-5)
    np.testing.assert_allclose(f32, f64, atol=1e-4 * f64.abs().max().item())
    np.testing.assert_allclose(x32.detach(), x64.detach(), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_totals_of_dft_do_not_cost_digits(make_potential, molecule, frames, dtype):
    potential = make_potential(dtype=dtype)
    plain = [potential(graph_of(s, dtype)).energies.item() for s in (molecule, frames[0])]
    potential.offsets += torch.tensor([-13.6, -1030.0, -1480.0, -2040.0], dtype=torch.float64)
    total = [potential(graph_of(s, dtype)).energies.item() for s in (molecule, frames[0])]
    assert total[0] < -9000
    assert total[0] - total[1] == pytest.approx(plain[0] - plain[1], abs=1e-11)


def test_changing_the_precision_keeps_the_offsets(make_potential):
    potential = make_potential()
    offset = -2041.123456789012
    potential.offsets.fill_(offset)
    potential.to_dtype(torch.float32).to_dtype(torch.float64)
    assert potential.offsets.dtype == torch.float64 and (potential.offsets == offset).all()


def test_scale_and_offsets_act_as_documented(make_potential, molecule):
    potential = make_potential()
    before, forces_before = energy(potential, molecule), forces(potential, molecule)
    potential.scale.fill_(3.0)
    potential.offsets.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    offsets = sum({1: 1.0, 6: 2.0, 7: 3.0, 8: 4.0}[z] for z in molecule.numbers)
    assert energy(potential, molecule) == pytest.approx(3.0 * before + offsets)
    np.testing.assert_allclose(forces(potential, molecule), 3.0 * forces_before, atol=1e-12)


def test_a_lone_atom_has_no_force(potential):
    lone = Structure([8], np.zeros((1, 3)))
    np.testing.assert_array_equal(forces(potential, lone), np.zeros((1, 3)))
