"""From trained potentials to a bundle: uncertainty, scale, distributions and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uqcv.colvars.bundle import Bundle, BundleSettings, Distribution
from uqcv.colvars.methods import atomic_scores, fit_model
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError
from uqcv.potentials.potential import Potential
from uqcv.structures import Structure, require_labels
from uqcv.uncertainty.calibration import CalibrationSettings, fit_by_element, fit_calibration
from uqcv.uncertainty.curves import ElementCalibration, LinearCalibration
from uqcv.uncertainty.pooling import POOLINGS
from uqcv.uncertainty.settings import UncertaintySettings

UNFITTED = LinearCalibration(q=1.0, minimum=0.0, floor=1.0, coverage=0.5, n=0)
PLACEHOLDER = Distribution(training_mean=0.0, training_deviation=1.0, held_out=(0.0, 1.0), calibration=UNFITTED)


def fit_bundle(
    potentials: Potential | Sequence[Potential],
    training: Sequence[Structure],
    held_out: Sequence[Structure],
    settings: UncertaintySettings,
    seed: int,
    provenance: dict[str, Any] | None = None,
) -> Bundle:
    """Fit the uncertainty on `training`, calibrate it on `held_out`, and return both with the potential.

    Parameters
    ----------
    potentials
        Trained: one network, or those of an ensemble.
    training
        Structures that they were trained on.
    held_out
        Labelled structures that they have not seen.
    settings
        Method, pooling, coverage.
    seed
        Of a mixture's initial assignment, and of the vibrations that directions are compared with.
    provenance
        What is worth keeping beside the bundle; not part of its hash.

    Raises
    ------
    InputError
        If labels are missing, or the networks are not those that the method needs.
    """
    require_labels(training, "training set")
    require_labels(held_out, "calibration set")
    networks = [potentials] if isinstance(potentials, Potential) else list(potentials)
    model = fit_model(networks, training, settings, seed)
    scores = np.concatenate(atomic_scores(model, training))
    deviation = float(scores.std())
    if not np.isfinite(deviation) or deviation == 0:
        raise InputError("the training atoms all have the same uncertainty; give more than one structure")
    first = training[0]
    unfitted = BundleSettings(
        elements=networks[0].elements,
        potential=networks[0].settings,
        uncertainty=settings,
        standard_mean=float(scores.mean()),
        standard_deviation=deviation,
        distributions=dict.fromkeys(POOLINGS, PLACEHOLDER),
        atom_calibration=ElementCalibration(elements={}, others=UNFITTED),
        reference_numbers=tuple(int(z) for z in first.numbers),
        reference_pbc=(bool(first.pbc[0]), bool(first.pbc[1]), bool(first.pbc[2])),
        lowest_energy=min(float(s.energy) for s in training if s.energy is not None),
        provenance=provenance or {},
    )
    return _calibrated(Bundle(unfitted, model), training, held_out, settings.calibration)


def _calibrated(
    bundle: Bundle, training: Sequence[Structure], held_out: Sequence[Structure], settings: CalibrationSettings
) -> Bundle:
    seen, unseen = evaluate_frames(bundle, training), evaluate_frames(bundle, held_out)
    atom_errors, frame_errors = unseen.errors(held_out)
    numbers = np.concatenate([s.numbers for s in held_out])
    distributions = {
        kind: Distribution(
            training_mean=float(seen.pooled[kind].mean()),
            training_deviation=float(seen.pooled[kind].std()),
            held_out=tuple(np.sort(unseen.pooled[kind]).tolist()),
            calibration=fit_calibration(unseen.pooled[kind], frame_errors, settings),
        )
        for kind in POOLINGS
    }
    update = {
        "distributions": distributions,
        "atom_calibration": fit_by_element(np.concatenate(unseen.atomic), atom_errors, numbers, settings),
    }
    return Bundle(bundle.settings.model_copy(update=update), bundle.model)


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
