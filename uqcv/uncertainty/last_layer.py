"""Posterior of the last layer: how well the training data determine the forces that it gives."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

SMALLEST_VARIANCE = 1e-12  # the root has a derivative where no force depends on the layer, as on an atom alone


class LastLayerSettings(BaseModel):
    """How the posterior is regularised."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    regularisation: float = Field(
        1e-5, gt=0, description="added to the diagonal of the information matrix, as a share of its mean diagonal"
    )


def posterior_factor(information: NDArray, settings: LastLayerSettings) -> Tensor:
    """Return K with K K^T the posterior covariance of the last layer's weights, those of its bias integrated out.

    Parameters
    ----------
    information
        What the labels say of weights and bias, shape (h + 1, h + 1).
    settings
        The regularisation.

    Returns
    -------
    Tensor
        Shape (h, h).
    """
    ridge = settings.regularisation * float(np.trace(information)) / len(information)
    covariance = np.linalg.inv(information + ridge * np.eye(len(information)))
    return torch.as_tensor(np.linalg.cholesky(covariance[:-1, :-1]))


def posterior_force_deviation(forces: Tensor) -> Tensor:
    """Return the deviation of each atom's force components under the posterior, in units of that of the labels.

    U_i = sqrt(sum_k |F_i^k|^2 / 3), with F^k the forces that the k-th column of K gives as last layer: the variance
    f^T H^-1 f of Bigi, Chong, Ceriotti & Grasselli, doi 10.1088/2632-2153/ad805f, with f the derivatives of the
    activations by positions; gradients of the last layer for force errors: Zaverkin et al.,
    doi 10.1038/s41524-024-01254-1.

    Parameters
    ----------
    forces
        Shape (h, n, 3).

    Returns
    -------
    Tensor
        No unit, shape (n,).
    """
    return (forces.square().sum(dim=(0, 2)) / 3 + SMALLEST_VARIANCE).sqrt()
