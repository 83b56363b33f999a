r"""Adversarial attack: structures that are both likely and uncertain, by gradient ascent.

Of many displaced structures x at once, the displacements d climb

    L(d) = p(x) U(x),   p(x) = exp(-E(x) / kT) / Q

(Schwalbe-Koda, Tan & Gómez-Bombarelli, Nat. Commun. 12, 5104 (2021), doi 10.1038/s41467-021-25342-8, eq. 5), with U the
pooled uncertainty. It is the logarithm that is climbed here: it has the same maxima for each structure, does not
underflow where E is many kT, and the partition function Q, there a sum over the training set, drops out.

| symbol | variable |
|---|---|
| d | displacements |
| E, U | energies, uncertainties |
| kT | thermal_energy |
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from uqcv.sampling.coordinates import Coordinates

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]
SMALLEST = 1e-6  # of U, whose logarithm is taken


def attack(
    evaluate: Evaluate,
    coordinates: Coordinates,
    displacements: Tensor,
    thermal_energy: float,
    steps: int,
    learning_rate: float,
    report: Callable[[int], None] | None = None,
) -> Tensor:
    """Return displacements that have climbed, for each structure of a batch by itself.

    Adam's step depends on the gradient of each coordinate alone, so that structures do not know of one another.

    Parameters
    ----------
    evaluate
        Gives energies (eV) and positive uncertainties at positions (Å, shape (b, n, 3)).
    coordinates
        From displacements to positions.
    displacements
        Where to start, of `coordinates.shape`; at zero the gradient may be zero too.
    thermal_energy
        kT, eV.
    steps
        Of Adam.
    learning_rate
        Of Adam, in the unit of the displacements.
    report
        Called with the number of steps done.
    """
    displacements = displacements.detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([displacements], lr=learning_rate, maximize=True)
    for step in range(steps):
        objective = log_likelihood_times_uncertainty(*evaluate(coordinates(displacements)), thermal_energy)
        (displacements.grad,) = torch.autograd.grad(objective.sum(), displacements)
        optimizer.step()
        if report is not None:
            report(step + 1)
    return displacements.detach()


def log_likelihood_times_uncertainty(energies: Tensor, uncertainties: Tensor, thermal_energy: float) -> Tensor:
    """Return log (p U) but for a constant, from energies and `thermal_energy` in eV; U is positive; shape (b,)."""
    return uncertainties.clamp_min(SMALLEST).log() - energies / thermal_energy
