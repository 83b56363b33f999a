"""Directions in feature space along which structures differ more than they vibrate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from uqcv.errors import InputError

Floats = NDArray[np.float64]
# Share of the mean vibrational variance added to every direction: dead features must not divide by zero.
RELATIVE_FLOOR = 1e-6


def discriminant_directions(features: Floats, vibration: Floats, n_directions: int) -> Floats:
    """Return the linear discriminants of the features against their vibrations.

    They maximise (v^T S v) / (v^T N v), with S the covariance of the features over the training atoms and N that
    caused by thermal vibration alone: Fisher's discriminant, doi 10.1111/j.1469-1809.1936.tb02137.x, with the
    vibration as the scatter within a class. Scaled so that the vibration has unit variance along each of them.

    Parameters
    ----------
    features
        Of the training atoms, shape (n, f).
    vibration
        Covariance of the features of an atom that vibrates, shape (f, f).
    n_directions
        How many are wanted; all of them at most.

    Returns
    -------
    NDArray
        One direction per column, the most telling first, shape (f, min(n_directions, f)).

    Raises
    ------
    InputError
        If the features do not change under vibration, or shapes do not match.
    """
    n_features = features.shape[1]
    if vibration.shape != (n_features, n_features):
        raise InputError(f"vibration: shape {vibration.shape} was given; {(n_features, n_features)} is expected")
    floor = RELATIVE_FLOOR * float(np.trace(vibration)) / n_features
    if not floor > 0:
        raise InputError("the features do not change when atoms vibrate; train the potential before fitting")
    _, vectors = eigh(np.cov(features.T, bias=True), vibration + floor * np.eye(n_features))
    return np.ascontiguousarray(vectors[:, ::-1][:, :n_directions])
