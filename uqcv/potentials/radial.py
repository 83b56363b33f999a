"""Radial functions of the distance between two atoms."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine_cutoff(distances: Tensor, cutoff: float) -> Tensor:
    """Return 1 at contact, 0 at and beyond `cutoff`, smooth in between.

    f(r) = (1 + cos(pi r / rc)) / 2, Behler & Parrinello, doi 10.1103/PhysRevLett.98.146401, eq. 4.

    Parameters
    ----------
    distances
        Å, any shape.
    cutoff
        rc in Å.
    """
    inside = (distances < cutoff).to(distances.dtype)
    return 0.5 * (1.0 + torch.cos(distances * (math.pi / cutoff))) * inside


def bessel_basis(distances: Tensor, cutoff: float, n_basis: int) -> Tensor:
    """Return sin(n pi r / rc) / r for n = 1..n_basis.

    Gasteiger, Groß & Günnemann (DimeNet), arXiv 2003.03123, eq. 7, without its constant.

    Parameters
    ----------
    distances
        Å, shape (p,).
    cutoff
        rc in Å.
    n_basis
        Number of functions.

    Returns
    -------
    Tensor
        1/Å, shape (p, n_basis).
    """
    n = torch.arange(1, n_basis + 1, dtype=distances.dtype, device=distances.device)
    return torch.sin(distances[:, None] * n * (math.pi / cutoff)) / distances[:, None]
