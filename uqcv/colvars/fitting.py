"""From a trained potential to a bundle: mixture, scale, distributions and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from uqcv.colvars.bundle import Bundle, BundleSettings, Distribution
from uqcv.colvars.features import latent_features, vibrational_covariance
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError
from uqcv.potentials.potential import Potential
from uqcv.structures import Structure, require_labels
from uqcv.uncertainty.calibration import CalibrationSettings, ConformalCalibration
from uqcv.uncertainty.discriminant import discriminant_directions
from uqcv.uncertainty.gmm import GMMSettings, GMMUncertainty
from uqcv.uncertainty.pooling import POOLINGS, PoolingSettings

UNFITTED = ConformalCalibration(q=1.0, minimum=0.0, floor=1.0, coverage=0.5, n=0)
PLACEHOLDER = Distribution(training_mean=0.0, training_deviation=1.0, held_out=(0.0, 1.0), calibration=UNFITTED)


class UncertaintySettings(BaseModel):
    """How the uncertainty is fitted, pooled and calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gmm: GMMSettings = Field(default_factory=GMMSettings, description="the Gaussian mixture")
    directions: int | None = Field(
        16,
        ge=1,
        description="directions in feature space that the mixture sees, those in which training atoms differ most "
        "compared with how they vibrate; null: all features",
    )
    pooling: PoolingSettings = Field(default_factory=PoolingSettings, description="from atoms to the system")
    calibration: CalibrationSettings = Field(default_factory=CalibrationSettings, description="to eV/Å")


def fit_bundle(
    potential: Potential,
    training: Sequence[Structure],
    held_out: Sequence[Structure],
    settings: UncertaintySettings,
    seed: int,
    provenance: dict[str, Any] | None = None,
) -> Bundle:
    """Fit the mixture on `training`, calibrate it on `held_out`, and return both with the potential.

    Parameters
    ----------
    potential
        Trained.
    training
        Structures that it was trained on.
    held_out
        Labelled structures that it has not seen.
    settings
        Mixture, pooling, coverage.
    seed
        Of the mixture's initial assignment.
    provenance
        What is worth keeping beside the bundle; not part of its hash.
    """
    require_labels(training, "training set")
    require_labels(held_out, "calibration set")
    features = latent_features(potential, training)
    numbers = np.concatenate([s.numbers for s in training])
    projection = _directions(potential, training, features, settings.directions, seed)
    uncertainty = GMMUncertainty(settings.gmm).fit(features, numbers, seed, projection)
    scores = uncertainty.score(torch.as_tensor(features), torch.as_tensor(numbers)).numpy()
    deviation = float(scores.std())
    if not np.isfinite(deviation) or deviation == 0:
        raise InputError("the training atoms all have the same uncertainty; give more than one structure")
    first = training[0]
    unfitted = BundleSettings(
        elements=potential.elements,
        potential=potential.settings,
        uncertainty=settings.gmm,
        pooling=settings.pooling,
        standard_mean=float(scores.mean()),
        standard_deviation=deviation,
        distributions=dict.fromkeys(POOLINGS, PLACEHOLDER),
        atom_calibration=UNFITTED,
        reference_numbers=tuple(int(z) for z in first.numbers),
        reference_pbc=(bool(first.pbc[0]), bool(first.pbc[1]), bool(first.pbc[2])),
        lowest_energy=min(float(s.energy) for s in training if s.energy is not None),
        provenance=provenance or {},
    )
    return _calibrated(Bundle(unfitted, potential, uncertainty), training, held_out, settings.calibration)


def _directions(
    potential: Potential, training: Sequence[Structure], features: NDArray, n_directions: int | None, seed: int
) -> NDArray[np.float64] | None:
    if n_directions is None:
        return None
    vibration = vibrational_covariance(potential, training, np.random.default_rng(seed))
    return discriminant_directions(features, vibration, n_directions)


def _calibrated(
    bundle: Bundle, training: Sequence[Structure], held_out: Sequence[Structure], settings: CalibrationSettings
) -> Bundle:
    seen, unseen = evaluate_frames(bundle, training), evaluate_frames(bundle, held_out)
    atom_errors, frame_errors = unseen.errors(held_out)
    distributions = {
        kind: Distribution(
            training_mean=float(seen.pooled[kind].mean()),
            training_deviation=float(seen.pooled[kind].std()),
            held_out=tuple(np.sort(unseen.pooled[kind]).tolist()),
            calibration=ConformalCalibration.fit(unseen.pooled[kind], frame_errors, settings),
        )
        for kind in POOLINGS
    }
    update = {
        "distributions": distributions,
        "atom_calibration": ConformalCalibration.fit(np.concatenate(unseen.atomic), atom_errors, settings),
    }
    return Bundle(bundle.settings.model_copy(update=update), bundle.potential, bundle.uncertainty)


class FrameEvaluations:
    """Energies, forces and uncertainties of many structures.

    Attributes
    ----------
    energies
        eV, shape (k,).
    forces
        eV/Å, one array of shape (n, 3) per structure; empty if they were not asked for.
    atomic
        Uncertainty of each atom, one array of shape (n,) per structure.
    pooled
        For each pooling the values, shape (k,).
    """

    def __init__(self, energies: NDArray, forces: list[NDArray], atomic: list[NDArray], pooled: dict[str, NDArray]):
        self.energies, self.forces, self.atomic, self.pooled = energies, forces, atomic, pooled

    def errors(self, labelled: Sequence[Structure]) -> tuple[NDArray, NDArray]:
        """Return |force error| in eV/Å of each atom, and its mean over each frame."""
        per_frame = [
            np.linalg.norm(f - s.forces, axis=1)
            for f, s in zip(self.forces, labelled, strict=True)
            if s.forces is not None
        ]
        return np.concatenate(per_frame), np.array([e.mean() for e in per_frame])


def evaluate_frames(
    bundle: Bundle,
    structures: Sequence[Structure],
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    report: Any = None,
    forces: bool = True,
) -> FrameEvaluations:
    """Evaluate a bundle on structures, by the code that a simulation uses.

    Parameters
    ----------
    bundle, structures
        What, and where.
    dtype, device
        Of torch.
    report
        Called with the number of frames done and a note.
    forces
        Whether forces are wanted, which more than doubles the time.
    """
    systems: dict[tuple, UncertaintyCV] = {}
    energies, all_forces, atomic = [], [], []
    pooled: dict[str, list[float]] = {kind: [] for kind in POOLINGS}
    for k, s in enumerate(structures):
        key = (s.numbers.tobytes(), s.pbc.tobytes())
        if key not in systems:
            systems[key] = UncertaintyCV(bundle, s.numbers.tolist(), s.pbc.tolist(), dtype, device)
        evaluation = systems[key].evaluate(s.positions, s.cell)
        energies.append(evaluation.energy)
        if forces:
            all_forces.append(evaluation.forces())
        atomic.append(evaluation.atomic)
        for kind in POOLINGS:
            pooled[kind].append(evaluation.value(kind))
        if report is not None:
            report(k + 1, "")
    return FrameEvaluations(np.array(energies), all_forces, atomic, {k: np.array(v) for k, v in pooled.items()})
