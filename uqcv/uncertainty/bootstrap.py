"""How far a metric might lie from what was measured: the bootstrap over independent groups of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
RESAMPLES, LEVEL = 400, 0.95


class Interval(NamedTuple):
    """A percentile interval: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13."""

    low: float
    high: float


def resamples(groups: Sequence[object], n_resamples: int, seed: int) -> Iterator[Ints]:
    """Yield indices of frames, drawn with replacement by whole groups; frames of one group are not independent.

    Parameters
    ----------
    groups
        Group of each frame.
    n_resamples
        How many to draw.
    seed
        The same seed gives the same draws, so that two methods can be compared on the same frames.
    """
    _, of_frame = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    members = np.split(np.argsort(of_frame, kind="stable"), np.cumsum(np.bincount(of_frame))[:-1])
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])


def bootstrap(
    statistic: Callable[[Ints], NDArray[np.float64]],
    groups: Sequence[object],
    seed: int,
    n_resamples: int = RESAMPLES,
) -> NDArray[np.float64]:
    """Return a statistic, which may be an array, of each resample of frames; shape (n_resamples, ...).

    Parameters
    ----------
    statistic
        From indices of frames.
    groups, n_resamples, seed
        As for `resamples`.
    """
    return np.stack([np.asarray(statistic(chosen)) for chosen in resamples(groups, n_resamples, seed)])


def interval(values: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """Return the percentile interval of bootstrapped values; what could not be computed in a resample is left out."""
    low, high = (
        np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2]) if np.isfinite(values).any() else [np.nan] * 2
    )
    return Interval(float(low), float(high))
