"""The CV against central differences, and the symmetries that a bias along it must have."""

import numpy as np
import pytest
import torch

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.uncertainty_cv import UncertaintyCV, shared_cv
from uqcv.errors import InputError, UnknownElementError
from uqcv.potentials.neighbors import build_graph
from uqcv.potentials.potential import predict_with_forces
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import POOLINGS, PoolingSettings

POOLING_SETTINGS = {
    "log, heavy": PoolingSettings(),
    "none, all": PoolingSettings(transform="none", atoms="all", local_radius=2.0),
    "log, chosen": PoolingSettings(atoms=(4, 6, 8), sharpness=20.0),
}


def with_pooling(bundle: Bundle, pooling: PoolingSettings) -> Bundle:
    uncertainty = bundle.settings.uncertainty.model_copy(update={"pooling": pooling})
    return Bundle(bundle.settings.model_copy(update={"uncertainty": uncertainty}), bundle.model)


@pytest.fixture(scope="module")
def cv(bundle, molecule) -> UncertaintyCV:
    return UncertaintyCV(bundle, molecule.numbers)


@pytest.fixture(scope="module")
def crystal_cv(crystal_bundle, crystal) -> UncertaintyCV:
    return UncertaintyCV(crystal_bundle, crystal.numbers, crystal.pbc)


def test_the_largest_value_is_clear(cv, molecule):
    """Where two atoms are nearly the same, `max` has a kink, and the differences below would mean nothing."""
    second, first = np.sort(cv.evaluate(molecule.positions).atomic[molecule.numbers > 1])[-2:]
    assert first - second > 0.01


@pytest.mark.parametrize("pooling", POOLING_SETTINGS.values(), ids=POOLING_SETTINGS)
@pytest.mark.parametrize("kind", POOLINGS)
def test_the_gradient(bundle, molecule, assert_gradient, kind, pooling):
    cv = UncertaintyCV(with_pooling(bundle, pooling), molecule.numbers)
    gradient = cv.evaluate(molecule.positions).gradient(kind)
    assert_gradient(lambda x: cv.evaluate(x).value(kind), molecule.positions, gradient)


def test_the_forces(cv, molecule, assert_gradient):
    forces = cv.evaluate(molecule.positions).forces()
    assert_gradient(lambda x: cv.evaluate(x).energy, molecule.positions, -forces)


@pytest.mark.parametrize("kind", POOLINGS)
def test_the_gradient_in_a_periodic_system(crystal_cv, crystal, assert_gradient, kind):
    gradient = crystal_cv.evaluate(crystal.positions, crystal.cell).gradient(kind)
    assert_gradient(lambda x: crystal_cv.evaluate(x, crystal.cell).value(kind), crystal.positions, gradient)


@pytest.mark.parametrize("kind", [*POOLINGS, "energy"])
def test_the_strain_gradient(crystal_cv, crystal, strained, assert_gradient, kind):
    def at(strain) -> float:
        s = strained(crystal, strain)
        evaluation = crystal_cv.evaluate(s.positions, s.cell)
        return evaluation.energy if kind == "energy" else evaluation.value(kind)

    gradient = crystal_cv.evaluate(crystal.positions, crystal.cell).strain_gradient(kind)
    np.testing.assert_allclose(gradient, gradient.T, atol=1e-14)
    assert_gradient(at, np.zeros((3, 3)), gradient)


@pytest.mark.parametrize("kind", POOLINGS)
def test_no_net_force_and_no_net_torque(cv, molecule, kind):
    gradient = cv.evaluate(molecule.positions).gradient(kind)
    size = np.abs(gradient).max()
    assert size > 1e-4
    np.testing.assert_allclose(gradient.sum(axis=0), 0.0, atol=1e-12 * size)
    np.testing.assert_allclose(np.cross(molecule.positions, gradient).sum(axis=0), 0.0, atol=1e-10 * size)


def test_rotation_and_translation(cv, molecule, rotation):
    here = cv.evaluate(molecule.positions)
    there = cv.evaluate(molecule.positions @ rotation.T + [5.0, -7.0, 11.0])
    for kind in POOLINGS:
        assert there.value(kind) == pytest.approx(here.value(kind), abs=1e-10)
        np.testing.assert_allclose(there.gradient(kind), here.gradient(kind) @ rotation.T, atol=1e-9)


def test_rotation_of_a_crystal(crystal_cv, crystal, rotation):
    here = crystal_cv.evaluate(crystal.positions, crystal.cell)
    there = crystal_cv.evaluate(crystal.positions @ rotation.T, crystal.cell @ rotation.T)
    for kind in POOLINGS:
        assert there.value(kind) == pytest.approx(here.value(kind), abs=1e-10)
        turned = rotation @ here.strain_gradient(kind) @ rotation.T
        np.testing.assert_allclose(there.strain_gradient(kind), turned, atol=1e-9)


def test_atoms_in_other_images(crystal_cv, crystal):
    moved = crystal.positions + np.array([[1, 0, 0], [0, -2, 0], [0, 0, 3], [0, 0, 0]]) @ crystal.cell
    here, there = (crystal_cv.evaluate(x, crystal.cell) for x in (crystal.positions, moved))
    for kind in POOLINGS:
        assert there.value(kind) == pytest.approx(here.value(kind), abs=1e-10)


def test_equivalent_hydrogens_may_be_swapped(cv, molecule):
    order = np.arange(22)
    order[[1, 2, 3]] = [2, 3, 1]  # the hydrogens of a methyl group
    here, there = (cv.evaluate(x) for x in (molecule.positions, molecule.positions[order]))
    for kind in POOLINGS:
        assert there.value(kind) == pytest.approx(here.value(kind), abs=1e-10)


def test_the_energy_is_that_of_the_potential(cv, bundle, molecule):
    graph = build_graph(molecule, 4.0)
    prediction, forces = predict_with_forces(bundle.potential, graph)
    evaluation = cv.evaluate(molecule.positions)
    assert evaluation.energy == pytest.approx(prediction.energies.item(), abs=1e-4)
    np.testing.assert_allclose(evaluation.forces(), forces, atol=1e-4)


def test_atomic_values_are_the_mixture_standardised(bundle, molecule):
    cv = UncertaintyCV(with_pooling(bundle, PoolingSettings(transform="none", atoms="all")), molecule.numbers)
    graph = build_graph(molecule, 4.0)
    features = bundle.potential(graph).features.detach().double()
    z = (bundle.model.uncertainty.score(features, graph.numbers) - bundle.settings.standard_mean).numpy()
    z /= bundle.settings.standard_deviation
    evaluation = cv.evaluate(molecule.positions)
    np.testing.assert_allclose(evaluation.atomic, z, atol=1e-3)
    assert evaluation.value("mean") == pytest.approx(evaluation.atomic.mean())
    assert evaluation.value("max") == evaluation.atomic.max()


def test_strange_structures_are_less_certain(cv, molecule):
    random = np.random.default_rng(0)
    noise = random.normal(size=molecule.positions.shape)
    for kind in POOLINGS:
        values = [cv.evaluate(molecule.positions + s * noise).value(kind) for s in (0.0, 0.1, 0.2)]
        assert values == sorted(values)


def test_asking_again_costs_nothing(bundle, molecule):
    cv = UncertaintyCV(bundle, molecule.numbers)
    first = cv.evaluate(molecule.positions)
    assert cv.evaluate(molecule.positions.copy()) is first
    assert cv.n_evaluations == 1
    for kind in POOLINGS:
        first.value(kind), first.gradient(kind)
    first.forces()
    assert cv.n_evaluations == 1
    cv.evaluate(molecule.positions + 1e-9)
    cv.evaluate(molecule.positions)
    assert cv.n_evaluations == 3


def test_the_mixture_is_evaluated_from_the_first_question_about_it(bundle, molecule):
    cv = UncertaintyCV(bundle, molecule.numbers, uncertain=False)
    plain = cv.evaluate(molecule.positions, uncertain=False)
    assert not cv.uncertain and len(plain._output) == 1
    asked = cv.evaluate(molecule.positions)
    assert cv.uncertain and asked is not plain and asked is cv.evaluate(molecule.positions, uncertain=False)
    assert asked.energy == pytest.approx(plain.energy, abs=1e-10)
    np.testing.assert_allclose(asked.forces(), plain.forces(), atol=1e-10)
    expected = UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions).value("smooth_max")
    assert asked.value("smooth_max") == expected


def test_positions_changed_in_place_are_seen(bundle, molecule):
    cv, positions = UncertaintyCV(bundle, molecule.numbers), molecule.positions.copy()
    before = cv.evaluate(positions).value("mean")
    positions[0] += 0.3
    assert cv.evaluate(positions).value("mean") != before


def test_another_cell_is_another_evaluation(crystal_bundle, crystal):
    cv = UncertaintyCV(crystal_bundle, crystal.numbers, crystal.pbc)
    here, there = (cv.evaluate(crystal.positions, crystal.cell * scale) for scale in (1.0, 1.05))
    assert cv.n_evaluations == 2 and here.energy != there.energy


def test_without_periodicity_the_cell_is_not_looked_at(cv, molecule):
    assert cv.evaluate(molecule.positions, np.eye(3) * 3.0) is cv.evaluate(molecule.positions)


def test_an_evaluation_stays_valid_after_the_next(cv, molecule):
    first = cv.evaluate(molecule.positions)
    value = first.value("mean")
    cv.evaluate(molecule.positions + 0.1 * np.arange(66).reshape(22, 3) / 66)
    fresh = UncertaintyCV(cv.bundle, molecule.numbers).evaluate(molecule.positions)
    assert first.value("mean") == value
    np.testing.assert_array_equal(first.gradient("mean"), fresh.gradient("mean"))


def test_other_atoms_are_refused(cv, crystal_cv, molecule, crystal):
    with pytest.raises(InputError, match=r"positions: shape \(21, 3\) was given; \(22, 3\) is expected"):
        cv.evaluate(molecule.positions[:-1])
    with pytest.raises(InputError, match=r"shape \(66,\) was given"):
        cv.evaluate(molecule.positions.ravel())
    with pytest.raises(InputError, match="cell vector is zero"):
        crystal_cv.evaluate(crystal.positions)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused_and_forgotten(cv, molecule, bad):
    positions = molecule.positions.copy()
    positions[3, 1] = bad
    with pytest.raises(InputError, match="positions: NaN or infinity was given; the simulation has blown up"):
        cv.evaluate(positions)
    assert np.isfinite(cv.evaluate(molecule.positions).value("mean"))


def test_an_unknown_element(bundle):
    with pytest.raises(UnknownElementError, match=r"\[16\] were given"):
        UncertaintyCV(bundle, [1, 16])


def test_single_precision_is_near(bundle, molecule):
    single = UncertaintyCV(bundle, molecule.numbers, dtype=torch.float32).evaluate(molecule.positions)
    double = UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions)
    for kind in POOLINGS:
        assert single.value(kind) == pytest.approx(double.value(kind), abs=1e-3)
    assert single.energy == pytest.approx(double.energy, abs=1e-4)
    assert single.gradient("mean").dtype == np.float64


def test_the_bundle_is_not_changed(bundle, molecule):
    before = Bundle(bundle.settings, bundle.model).hash
    UncertaintyCV(bundle, molecule.numbers, dtype=torch.float64).evaluate(molecule.positions).gradient("mean")
    assert Bundle(bundle.settings, bundle.model).hash == before
    assert all(p.requires_grad for p in bundle.potential.parameters())


def test_large_molecules_use_neighbours(bundle, molecule):
    """Four molecules are too many atoms for complete pairs; far apart, each is as uncertain as alone."""
    four = np.concatenate([molecule.positions + np.array([40.0 * k, 0, 0]) for k in range(4)])
    many = UncertaintyCV(bundle, np.tile(molecule.numbers, 4)).evaluate(four)
    alone = UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions)
    for kind in POOLINGS:
        assert many.value(kind) == pytest.approx(alone.value(kind), abs=1e-10)
    np.testing.assert_allclose(many.forces(), np.tile(alone.forces(), (4, 1)), atol=1e-10)


def test_a_single_atom(bundle):
    evaluation = UncertaintyCV(bundle, [8]).evaluate(np.zeros((1, 3)))
    for kind in POOLINGS:
        assert np.isfinite(evaluation.value(kind))
        np.testing.assert_array_equal(evaluation.gradient(kind), np.zeros((1, 3)))
    np.testing.assert_array_equal(evaluation.forces(), np.zeros((1, 3)))


def test_one_cv_per_bundle_and_system(bundle, saved_twice, molecule):
    none, numbers = (False,) * 3, molecule.numbers.tolist()
    first, second = (shared_cv(b, numbers, none, torch.float64, "cpu") for b in saved_twice)
    assert first is second, "the hash tells what is the same, not the object"
    assert shared_cv(bundle, numbers, none, torch.float32, "cpu") is not first
    assert shared_cv(bundle, numbers[:-1], none, torch.float64, "cpu") is not first
    changed = with_pooling(bundle, PoolingSettings(sharpness=9.0))
    assert shared_cv(changed, numbers, none, torch.float64, "cpu") is not first


@pytest.fixture
def saved_twice(bundle, tmp_path) -> list[Bundle]:
    return [Bundle.load(bundle.save(tmp_path / name)) for name in ("a", "b")]


def test_a_structure_in_a_slab(crystal_bundle, crystal, assert_gradient):
    """Two periodic directions, and no third cell vector."""
    cell = crystal.cell.copy()
    cell[2] = 0.0
    slab = Structure(crystal.numbers, crystal.positions, cell, np.array([True, True, False]))
    cv = UncertaintyCV(crystal_bundle, slab.numbers, slab.pbc)
    gradient = cv.evaluate(slab.positions, cell).gradient("mean")
    assert_gradient(lambda x: cv.evaluate(x, cell).value("mean"), slab.positions, gradient)


@pytest.mark.slow
def test_compiled_is_the_same_as_eager(bundle, frames):
    compiled, eager = (UncertaintyCV(bundle, frames[0].numbers, compiled=c) for c in (True, False))
    for frame in frames[:3]:
        a, b = (cv.evaluate(frame.positions) for cv in (compiled, eager))
        assert a.energy == pytest.approx(b.energy, abs=1e-10)
        np.testing.assert_allclose(a.forces(), b.forces(), atol=1e-10)
        for kind in POOLINGS:
            assert a.value(kind) == pytest.approx(b.value(kind), abs=1e-11)
            np.testing.assert_allclose(a.gradient(kind), b.gradient(kind), atol=1e-10)


@pytest.mark.slow
def test_a_compiled_crystal_is_the_same_as_eager_while_its_pairs_change(crystal_bundle, crystal):
    numbers, pbc, random = crystal.numbers, crystal.pbc, np.random.default_rng(0)
    compiled, eager = (UncertaintyCV(crystal_bundle, numbers, pbc, compiled=c) for c in (True, False))
    compiled.warm_up(crystal.positions, crystal.cell)
    assert compiled.n_evaluations == 0 and not compiled.memory(), "rounding depends on nothing of it"
    positions = crystal.positions
    for step in range(6):
        cell = crystal.cell * (1 + 0.001 * (step // 3))
        a, b = (cv.evaluate(positions, cell) for cv in (compiled, eager))
        assert a.energy == pytest.approx(b.energy, abs=1e-10)
        np.testing.assert_allclose(a.forces({"mean": 0.3}), b.forces({"mean": 0.3}), atol=1e-10)
        np.testing.assert_allclose(a.strain_gradient("mean"), b.strain_gradient("mean"), atol=1e-10)
        positions = positions + random.normal(scale=0.1, size=positions.shape)
    assert largest_kept(compiled, positions, cell) < pairs_times_features(compiled, positions, cell)


def test_compiled_gradients_hold_in_single_precision_wherever_it_rounds(bundle, molecule):
    """A derivative that computes values again must not ask which of them equals one that was rounded otherwise."""
    compiled, eager = (UncertaintyCV(bundle, molecule.numbers, dtype=torch.float32, compiled=c) for c in (True, False))
    random, slopes = np.random.default_rng(0), {"mean": 0.1, "max": 0.2, "smooth_max": -0.1, "local_mean_max": 0.1}
    for _ in range(200):
        positions = molecule.positions + random.normal(scale=0.05, size=molecule.positions.shape)
        a, b = (cv.evaluate(positions).forces(slopes) for cv in (compiled, eager))
        np.testing.assert_allclose(a, b, atol=2e-5 * abs(b).max())


def largest_kept(cv: UncertaintyCV, positions: np.ndarray, cell: np.ndarray) -> int:
    """Numbers in the largest tensor that waits for the backward pass."""
    graph = cv.graph_at(positions, cell)
    (summary, *_), _ = cv.passes.forward(graph.positions, graph.offsets, graph.links)
    return max(tensor.numel() for tensor in summary.grad_fn.saved_tensors)


def pairs_times_features(cv: UncertaintyCV, positions: np.ndarray, cell: np.ndarray) -> int:
    return cv.graph_at(positions, cell).links.senders.numel() * cv.bundle.settings.potential.n_features
