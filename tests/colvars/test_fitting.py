"""From a potential to a bundle: what is fitted is what the data say."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from uqcv.colvars.features import latent_features
from uqcv.colvars.fitting import evaluate_frames, fit_bundle
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError
from uqcv.uncertainty.gmm import GMMSettings
from uqcv.uncertainty.metrics import coverage
from uqcv.uncertainty.pooling import POOLINGS
from uqcv.uncertainty.settings import UncertaintySettings

SETTINGS = UncertaintySettings(gmm=GMMSettings(n_components=2))


def test_scores_are_standard_on_the_training_atoms(bundle, frames):
    numbers = np.concatenate([s.numbers for s in frames[:24]])
    features = latent_features(bundle.potential, frames[:24])
    scores = bundle.model.uncertainty.score(torch.as_tensor(features), torch.as_tensor(numbers)).numpy()
    assert bundle.settings.standard_mean == pytest.approx(scores.mean())
    assert bundle.settings.standard_deviation == pytest.approx(scores.std())


def test_distributions_are_those_of_the_frames(bundle, frames):
    seen, unseen = evaluate_frames(bundle, frames[:24]), evaluate_frames(bundle, frames[24:34])
    for kind in POOLINGS:
        distribution = bundle.settings.distributions[kind]
        assert distribution.training_mean == pytest.approx(seen.pooled[kind].mean())
        assert distribution.training_deviation == pytest.approx(seen.pooled[kind].std())
        np.testing.assert_allclose(distribution.held_out, np.sort(unseen.pooled[kind]), atol=1e-12)


def test_the_calibration_covers_the_held_out_frames(bundle, frames):
    evaluations = evaluate_frames(bundle, frames[24:34])
    atom_errors, frame_errors = evaluations.errors(frames[24:34])
    assert atom_errors.shape == (220,) and frame_errors.shape == (10,)
    by_hand = np.linalg.norm(evaluations.forces[3] - frames[27].forces, axis=1)
    np.testing.assert_allclose(atom_errors[66:88], by_hand)
    assert frame_errors[3] == pytest.approx(by_hand.mean())
    s = bundle.settings
    assert s.frame_calibration.n == 10 and s.atom_calibration.others.n == 220
    assert coverage(s.frame_calibration(evaluations.pooled["mean"]), frame_errors) >= 0.9
    atomic = np.concatenate(evaluations.atomic)
    assert coverage(s.atom_calibration.others(atomic), atom_errors) == pytest.approx(199 / 220)
    numbers = np.tile(frames[0].numbers, 10)
    assert {z: own.n for z, own in s.atom_calibration.elements.items()} == {1: 120, 6: 60}, "10 N and 10 O are too few"
    hydrogen = numbers == 1
    covered = atom_errors[hydrogen] <= s.atom_calibration(atomic, numbers)[hydrogen]
    assert covered.mean() == pytest.approx(109 / 120)


def test_evaluations_are_those_of_a_simulation(bundle, frames, molecule):
    evaluations = evaluate_frames(bundle, [frames[0], molecule])
    one = UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions)
    assert evaluations.energies[1] == one.energy
    np.testing.assert_array_equal(evaluations.forces[1], one.forces())
    np.testing.assert_array_equal(evaluations.atomic[1], one.atomic)
    assert {k: v[1] for k, v in evaluations.pooled.items()} == {k: one.value(k) for k in POOLINGS}


def test_systems_of_different_size_and_cell(make_potential, frames, crystals):
    potential = make_potential((1, 6, 7, 8, 29, 79), dtype=torch.float32)
    mixed = [frames[0], crystals[0], frames[1], crystals[1]]
    bundle = fit_bundle(potential, mixed, mixed, SETTINGS, seed=0)
    done = []
    evaluations = evaluate_frames(bundle, mixed, report=lambda k, note: done.append(k))
    assert [len(u) for u in evaluations.atomic] == [22, 4, 22, 4]
    assert done == [1, 2, 3, 4]
    one = UncertaintyCV(bundle, crystals[1].numbers, crystals[1].pbc).evaluate(crystals[1].positions, crystals[1].cell)
    assert evaluations.pooled["max"][3] == one.value("max")


def test_the_fit_repeats_itself(make_potential, frames):
    def hash_of(seed: int) -> str:
        potential = make_potential(dtype=torch.float32)
        return fit_bundle(potential, frames[:6], frames[6:9], SETTINGS, seed, provenance={"seed": seed}).hash

    assert hash_of(0) == hash_of(0)


def test_what_is_kept_of_the_frames(bundle, crystal_bundle, crystals, frames):
    assert bundle.settings.reference_numbers == tuple(frames[0].numbers)
    assert bundle.settings.reference_pbc == (False, False, False)
    assert crystal_bundle.settings.reference_pbc == (True, True, True)
    assert bundle.settings.lowest_energy == min(s.energy for s in frames[:24])
    assert crystal_bundle.settings.elements == (29, 79)


def test_labels_are_required(potential, frames):
    bare = frames[0].with_positions(frames[0].positions)
    with pytest.raises(InputError, match="training set, frame 0: no energy and no forces"):
        fit_bundle(potential, [bare], frames[:2], SETTINGS, seed=0)
    with pytest.raises(InputError, match="calibration set, frame 1"):
        fit_bundle(potential, frames[:2], [frames[3], bare], SETTINGS, seed=0)
    with pytest.raises(InputError, match="calibration set: no structures"):
        fit_bundle(potential, frames[:2], [], SETTINGS, seed=0)


def test_too_few_atoms_for_the_mixture(potential, frames):
    with pytest.raises(InputError, match="22 atoms were given for 40 components"):
        fit_bundle(potential, frames[:1], frames[:2], UncertaintySettings(gmm=GMMSettings(n_components=40)), seed=0)


def test_settings_are_strict():
    with pytest.raises(ValidationError):
        UncertaintySettings(gmm={"n_component": 3})
