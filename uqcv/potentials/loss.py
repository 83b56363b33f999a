"""What training makes small: the errors of energies and forces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uqcv.potentials.dataset import EVALUATION_BATCH, Batch, Dataset
from uqcv.potentials.potential import Potential, Predictor, predict_with_forces
from uqcv.potentials.settings import TrainingSettings

# From the errors of force components (n, 3) in eV/Å and a potential's outputs (n, k) to one number. It must be
# possible to send it to other processes, to use it as a key, and its repr() must tell it from others.
ForceLoss = Callable[[Tensor, Tensor | None], Tensor]


def mean_square(errors: Tensor, outputs: Tensor | None) -> Tensor:
    """Return the mean square force component: the loss of a potential that says nothing of its errors."""
    return errors.square().mean()


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


def loss_of(
    potential: Predictor,
    batch: Batch,
    settings: TrainingSettings,
    create_graph: bool,
    force_loss: ForceLoss = mean_square,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss and the errors of energies (s,) in eV and forces (n, 3) in eV/Å."""
    prediction, forces = predict_with_forces(potential, batch.graph, create_graph=create_graph)
    energy_error, force_error = prediction.energies - batch.energies, forces - batch.forces
    per_atom = (energy_error / batch.graph.atom_counts()).square().mean()
    of_forces = force_loss(force_error, prediction.outputs)
    loss = settings.energy_weight * per_atom + settings.force_weight * of_forces
    return loss, energy_error.detach(), force_error.detach()


def measure_errors(
    potential: Potential,
    data: Dataset,
    settings: TrainingSettings | None = None,
    force_loss: ForceLoss = mean_square,
) -> Errors:
    """Return the errors of `potential` on `data`."""
    settings = settings or TrainingSettings()
    losses, energy_errors, force_errors, sizes = [], [], [], []
    for batch in data.batches(EVALUATION_BATCH):
        loss, energy, force = loss_of(potential, batch, settings, create_graph=False, force_loss=force_loss)
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
