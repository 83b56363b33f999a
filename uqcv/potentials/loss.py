"""What training makes small: the errors of energies and forces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uqcv.potentials.dataset import EVALUATION_BATCH, Batch, Dataset
from uqcv.potentials.potential import Potential, Predictor, energies_and_forces
from uqcv.potentials.settings import TrainingSettings


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors of a potential on labelled structures.

    Attributes
    ----------
    energy_mae
        eV, of the total energy.
    force_mae, force_rmse
        eV/Å, of a force component.
    loss
        The training loss.
    """

    energy_mae: float
    force_mae: float
    force_rmse: float
    loss: float


def loss_of(potential: Predictor, batch: Batch, settings: TrainingSettings, create_graph: bool) -> tuple[Tensor, ...]:
    """Return the loss and the errors of energies (s,) in eV and forces (n, 3) in eV/Å."""
    energies, forces, _ = energies_and_forces(potential, batch.graph, create_graph=create_graph)
    energy_error, force_error = energies - batch.energies, forces - batch.forces
    per_atom = (energy_error / batch.graph.atom_counts()).square().mean()
    loss = settings.energy_weight * per_atom + settings.force_weight * force_error.square().mean()
    return loss, energy_error.detach(), force_error.detach()


def measure_errors(potential: Potential, data: Dataset, settings: TrainingSettings | None = None) -> Errors:
    """Return the errors of `potential` on `data`."""
    settings = settings or TrainingSettings()
    losses, energy_errors, force_errors, sizes = [], [], [], []
    for batch in data.batches(EVALUATION_BATCH):
        loss, energy, force = loss_of(potential, batch, settings, create_graph=False)
        losses.append(loss.item())
        sizes.append(batch.graph.n_structures)
        energy_errors.append(energy)
        force_errors.append(force)
    forces = torch.cat(force_errors)
    return Errors(
        energy_mae=torch.cat(energy_errors).abs().mean().item(),
        force_mae=forces.abs().mean().item(),
        force_rmse=forces.square().mean().sqrt().item(),
        loss=float(np.average(losses, weights=sizes)),
    )
