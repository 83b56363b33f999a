"""Which of many points differ from others and from each other: pure functions on arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from uqcv.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Distances that are held at once: 32 MB.
_DISTANCES_AT_ONCE = 4_000_000


def spread(descriptors: ArrayLike) -> float:
    """Root mean square distance of descriptors (n, D) from their mean; 0 for fewer than two."""
    descriptors = np.asarray(descriptors, dtype=np.float64)
    if len(descriptors) < 2:
        return 0.0
    return float(np.sqrt(descriptors.var(axis=0).sum()))


def drop_duplicates(features: ArrayLike, known: ArrayLike, tolerance: float) -> Bools:
    """Tell which frames are new.

    Parameters
    ----------
    features
        Descriptors of frames, shape (n, d).
    known
        Descriptors that a frame must differ from, shape (m, d); m may be 0.
    tolerance
        Largest Euclidean distance at which two frames are the same, in the unit of the descriptors.

    Returns
    -------
    Mask of shape (n,): True for a frame that is farther than `tolerance` from all known ones and from all
    frames before it that are kept.

    Raises
    ------
    InputError
        If shapes do not fit or a number is not finite.
    """
    features, known = _checked(features, known)
    keep = _nearest(features, known) > tolerance
    for i in range(len(features)):
        if keep[i]:
            later = np.flatnonzero(keep[i + 1 :]) + i + 1
            keep[later] = _distances(features[later], features[i]) > tolerance
    return keep


def farthest_points(candidates: ArrayLike, known: ArrayLike, n_select: int, first: int | None = None) -> Ints:
    """Choose points that are far from each other and from the known ones, greedily.

    Each choice is the candidate whose nearest known or chosen point is farthest (Gonzalez 1985,
    doi 10.1016/0304-3975(85)90224-5: at most twice the best covering radius). Ties go to the lowest index.

    Parameters
    ----------
    candidates
        Shape (n, d).
    known
        Points that are there already, shape (m, d); m may be 0, and then `first`, or else candidate 0, is chosen.
    n_select
        How many to choose; all if there are fewer.
    first
        The candidate to choose first, whatever its distance.

    Returns
    -------
    Indices in the order of choice, shape (min(n, n_select),).

    Raises
    ------
    InputError
        If shapes do not fit or a number is not finite.
    """
    candidates, known = _checked(candidates, known)
    nearest = _nearest(candidates, known)
    chosen: list[int] = []
    for _ in range(min(n_select, len(candidates))):
        best = int(nearest.argmax()) if chosen or first is None else first
        chosen.append(best)
        nearest = np.minimum(nearest, _distances(candidates, candidates[best]))
        nearest[chosen] = -1.0  # below all distances: copies of a chosen point may follow it, itself not
    return np.array(chosen, dtype=np.int64)


def _checked(points: ArrayLike, known: ArrayLike) -> tuple[Floats, Floats]:
    points, known = np.asarray(points, dtype=np.float64), np.asarray(known, dtype=np.float64)
    if known.size == 0 and points.ndim == 2:
        known = known.reshape(0, points.shape[1])
    if points.ndim != 2 or known.ndim != 2 or points.shape[1] != known.shape[1]:
        raise InputError(f"points of shape {points.shape} and {known.shape}; (n, d) and (m, d) are expected")
    if not (np.isfinite(points).all() and np.isfinite(known).all()):
        raise InputError("NaN or infinity in the descriptors; drop frames that are not physical first")
    return points, known


def _distances(points: Floats, point: Floats) -> Floats:
    return cdist(points, point[None])[:, 0]


def _nearest(points: Floats, known: Floats) -> Floats:
    """Distance of each point to the nearest known one, (n,); infinite if there is none."""
    if not len(known):
        return np.full(len(points), np.inf)
    return np.concatenate([np.zeros(0), *(cdist(block, known).min(axis=1) for block in _blocks(points, len(known)))])


def _blocks(points: Floats, width: int) -> Iterator[Floats]:
    step = max(1, _DISTANCES_AT_ONCE // width)
    return (points[start : start + step] for start in range(0, len(points), step))
