"""One contract for all uncertainties: whatever the method, its value is a collective variable."""

import numpy as np
import pytest

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import export, module_name
from uqcv.colvars.features import evaluation_graphs
from uqcv.colvars.fitting import evaluate_frames, fit_bundle
from uqcv.colvars.methods import last_layer_information
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError, UnknownElementError
from uqcv.uncertainty.pooling import POOLINGS
from uqcv.uncertainty.settings import METHODS


@pytest.fixture(scope="module", params=METHODS)
def bundle(request, fitted, frames) -> Bundle:
    return fitted(request.param, frames[:12], frames[24:30])


@pytest.fixture(scope="module")
def cv(bundle, molecule) -> UncertaintyCV:
    return UncertaintyCV(bundle, molecule.numbers)


@pytest.fixture(scope="module", params=METHODS)
def crystal_cv(request, fitted, crystals, crystal) -> UncertaintyCV:
    return UncertaintyCV(fitted(request.param, crystals[:6], crystals[6:9]), crystal.numbers, crystal.pbc)


def test_what_it_speaks_of(bundle):
    of_features = bundle.settings.uncertainty.method in ("gmm", "mahalanobis")
    assert bundle.model.speaks_of == ("features" if of_features else "forces")


@pytest.mark.parametrize("kind", POOLINGS)
def test_the_gradient(cv, molecule, assert_gradient, kind):
    gradient = cv.evaluate(molecule.positions).gradient(kind)
    assert_gradient(lambda x: cv.evaluate(x).value(kind), molecule.positions, gradient)


def test_forces_of_energy_and_bias_from_one_pass(cv, molecule, assert_gradient):
    def total(x) -> float:
        evaluation = cv.evaluate(x)
        return evaluation.energy + 2.0 * evaluation.value("mean")

    assert_gradient(total, molecule.positions, -cv.evaluate(molecule.positions).forces({"mean": 2.0}))


def test_the_strain_gradient(crystal_cv, crystal, strained, assert_gradient):
    def at(strain) -> float:
        s = strained(crystal, strain)
        return crystal_cv.evaluate(s.positions, s.cell).value("mean")

    gradient = crystal_cv.evaluate(crystal.positions, crystal.cell).strain_gradient("mean")
    assert_gradient(at, np.zeros((3, 3)), gradient)


def test_the_gradient_in_a_crystal(crystal_cv, crystal, assert_gradient):
    gradient = crystal_cv.evaluate(crystal.positions, crystal.cell).gradient("mean")
    assert_gradient(lambda x: crystal_cv.evaluate(x, crystal.cell).value("mean"), crystal.positions, gradient)


def test_rotation_translation_and_the_order_of_like_atoms(cv, molecule, rotation):
    order = np.arange(22)
    order[[1, 2, 3]] = [2, 3, 1]  # the hydrogens of a methyl group
    here = cv.evaluate(molecule.positions)
    for positions in (molecule.positions @ rotation.T + [5.0, -7.0, 11.0], molecule.positions[order]):
        there = cv.evaluate(positions)
        for kind in POOLINGS:
            assert there.value(kind) == pytest.approx(here.value(kind), abs=1e-9)


def test_no_net_force_and_no_net_torque(cv, molecule):
    gradient = cv.evaluate(molecule.positions).gradient("mean")
    size = np.abs(gradient).max()
    np.testing.assert_allclose(gradient.sum(axis=0), 0.0, atol=1e-11 * size)
    np.testing.assert_allclose(np.cross(molecule.positions, gradient).sum(axis=0), 0.0, atol=1e-9 * size)


def test_strange_structures_are_less_certain_than_those_of_training(bundle, frames):
    if bundle.settings.uncertainty.method in ("mve", "evidential"):
        pytest.skip("learned on the training set alone, it promises nothing elsewhere")
    noise = np.random.default_rng(0).normal(scale=0.3, size=(3, 22, 3))
    strange = [s.with_positions(s.positions + d) for s, d in zip(frames[:3], noise, strict=True)]
    seen, unseen = (evaluate_frames(bundle, part).pooled["mean"].mean() for part in (frames[:3], strange))
    assert unseen > seen


def test_training_atoms_have_standard_scores(bundle, frames):
    plain = bundle.settings.uncertainty.pooling.model_copy(update={"transform": "none", "atoms": "all"})
    uncertainty = bundle.settings.uncertainty.model_copy(update={"pooling": plain})
    raw = Bundle(bundle.settings.model_copy(update={"uncertainty": uncertainty}), bundle.model)
    z = np.concatenate(evaluate_frames(raw, frames[:12]).atomic)
    assert z.mean() == pytest.approx(0, abs=1e-4) and z.std() == pytest.approx(1, abs=1e-4)


def test_a_bundle_is_what_was_saved(bundle, molecule, tmp_path):
    read = Bundle.load(bundle.save(tmp_path / "b"))
    assert read.hash == bundle.hash
    here, there = (UncertaintyCV(b, molecule.numbers).evaluate(molecule.positions) for b in (bundle, read))
    assert here.energy == there.energy
    np.testing.assert_array_equal(here.atomic, there.atomic)


def test_unknown_elements_are_refused(bundle):
    with pytest.raises(UnknownElementError, match="16"):
        bundle.model.require_elements([1, 16])


def test_forces_through_plumed(bundle, molecule, make_bridge, tmp_path, assert_gradient):
    export(bundle, tmp_path / "cv")
    text = (
        f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={module_name(bundle)}\nRESTRAINT ARG=u.py-mean AT=0.1 KAPPA=300 SLOPE=20"
    )
    bridge = make_bridge(text, 22, tmp_path / "cv")
    positions = molecule.positions * 0.1
    forces = bridge.evaluate(0, positions)[1].copy()
    assert np.abs(forces).max() > 1.0
    assert_gradient(lambda x: bridge.evaluate(0, x)[0], positions, -forces, step=1e-5)


def test_the_information_of_forces_is_that_of_their_derivatives(potential, molecule, assert_gradient):
    """H of one structure, from activations at displaced positions."""

    def sums(positions) -> np.ndarray:
        (graph,) = evaluation_graphs(potential, [molecule.with_positions(positions)])
        hidden = potential.hidden(potential(graph).features)
        return hidden.sum(dim=0).detach().numpy()

    jacobian = np.zeros((66, len(sums(molecule.positions))))
    for k in range(66):
        shift = np.zeros(66)
        shift[k] = 1e-4
        shift = shift.reshape(22, 3)
        jacobian[k] = (sums(molecule.positions + shift) - sums(molecule.positions - shift)) / 2e-4
    mean = np.append(sums(molecule.positions) / 22, 1.0)
    expected = np.outer(mean, mean)
    expected[:-1, :-1] += jacobian.T @ jacobian / 66
    np.testing.assert_allclose(last_layer_information(potential, [molecule]), expected, rtol=1e-5, atol=1e-9)


def test_networks_of_another_method_are_refused(potential, frames, settings_for):
    with pytest.raises(InputError, match=r"1 network\(s\) with \[0\] outputs .* mve expects 1 with 1"):
        fit_bundle(potential, frames[:4], frames[4:6], settings_for("mve"), seed=0)
    with pytest.raises(InputError, match="ensemble expects 3 with 0"):
        fit_bundle(potential, frames[:4], frames[4:6], settings_for("ensemble"), seed=0)


def test_a_neighbourhood_beyond_the_cutoff_is_refused(potential, frames, settings_for):
    settings = settings_for("gmm")
    wide = settings.model_copy(update={"gmm": settings.gmm.model_copy(update={"neighbourhood": 9.0})})
    with pytest.raises(InputError, match="neighbourhood 9 Å was given; at most the cutoff of the potential, 4 Å"):
        fit_bundle(potential, frames[:4], frames[4:6], wide, seed=0)


@pytest.mark.slow
def test_compiled_is_eager_in_a_crystal(crystal_cv, crystal):
    cv = UncertaintyCV(crystal_cv.bundle, crystal.numbers, crystal.pbc, compiled=True)
    here, there = (one.evaluate(crystal.positions, crystal.cell) for one in (crystal_cv, cv))
    assert there.value("mean") == pytest.approx(here.value("mean"), abs=1e-10)
    np.testing.assert_allclose(there.gradient("mean"), here.gradient("mean"), atol=1e-9)
    np.testing.assert_allclose(there.strain_gradient("mean"), here.strain_gradient("mean"), atol=1e-9)


@pytest.mark.slow
def test_compiled_is_eager(bundle, molecule):
    eager, compiled = (UncertaintyCV(bundle, molecule.numbers, compiled=c) for c in (False, True))
    here, there = (one.evaluate(molecule.positions) for one in (eager, compiled))
    for kind in POOLINGS:
        assert there.value(kind) == pytest.approx(here.value(kind), abs=1e-10)
        np.testing.assert_allclose(there.gradient(kind), here.gradient(kind), atol=1e-9)
    np.testing.assert_allclose(there.forces({"mean": 2.0}), here.forces({"mean": 2.0}), atol=1e-9)
