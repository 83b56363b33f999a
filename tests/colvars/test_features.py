"""Features of all atoms, and their covariance under vibration."""

import numpy as np
import torch

from uqcv.colvars.features import AMPLITUDE, CARBON_MASS, latent_features, vibrational_covariance
from uqcv.potentials.neighbors import build_graph
from uqcv.structures import Structure


def test_features_of_all_atoms_in_order(potential, frames):
    features = latent_features(potential, frames[:3])
    assert features.shape == (66, 16)
    alone = potential(build_graph(frames[1], 4.0, torch.float64)).features.detach()
    np.testing.assert_allclose(features[22:44], alone, atol=1e-12)


def test_more_frames_than_one_batch(potential, frames):
    features = latent_features(potential, frames)
    assert len(features) == 36 * 22
    np.testing.assert_allclose(features[-22:], latent_features(potential, frames[-1:]), atol=1e-12)


def test_vibration_is_the_linear_response_to_displacements(potential, frames, monkeypatch):
    """Against J D J^T, with J from central differences and D the covariance of the displacements."""
    frame, step = frames[0], 1e-4
    monkeypatch.setattr("uqcv.colvars.features.AMPLITUDE", AMPLITUDE / 30)  # where the response is linear
    expected = np.zeros((16, 16))
    for k in range(len(frame)):
        for axis in range(3):
            ends = []
            for sign in (1, -1):
                positions = frame.positions.copy()
                positions[k, axis] += sign * step
                ends.append(latent_features(potential, [frame.with_positions(positions)]))
            response = (ends[0] - ends[1]) / (2 * step)
            expected += (AMPLITUDE / 30) ** 2 * CARBON_MASS / frame.masses[k] * response.T @ response / len(frame)
    found = vibrational_covariance(potential, [frame] * 200, np.random.default_rng(0))
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


def test_light_atoms_tremble_more():
    class Positions:
        """Stands for a potential whose features are the positions themselves."""

        settings = type("Settings", (), {"cutoff": 3.0})

        def parameters(self):
            return iter([torch.zeros(1, dtype=torch.float64)])

        def __call__(self, graph):
            return type("Prediction", (), {"features": graph.positions})

    pairs = {z: Structure(np.array([z, z]), np.array([[0.0, 0, 0], [2.0, 0, 0]])) for z in (1, 6)}
    deviations = {
        z: np.sqrt(vibrational_covariance(Positions(), [s] * 400, np.random.default_rng(1)).diagonal().mean())
        for z, s in pairs.items()
    }
    assert abs(deviations[6] / AMPLITUDE - 1) < 0.05
    assert abs(deviations[1] / deviations[6] / np.sqrt(12.011 / 1.008) - 1) < 1e-3
