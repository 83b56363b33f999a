"""Averages along trajectories: what stays when fast vibrations are gone."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Floats = NDArray[np.float64]


def averaged_along(
    points: Floats, trajectories: Sequence[Hashable], half_width: int, usable: NDArray[np.bool_]
) -> Floats:
    """Return each point as the mean over its neighbours in time.

    Parameters
    ----------
    points
        One row per frame, frames of a trajectory in a row and in order, shape (n, D).
    trajectories
        Which trajectory each frame is of, length n.
    half_width
        Frames before and after a frame that count with it; fewer at the ends.
    usable
        Mask of shape (n,); other frames are left as they are and count for none.
    """
    averaged = np.array(points)
    names = {name: k for k, name in enumerate(dict.fromkeys(trajectories))}
    labels = np.array([names[name] for name in trajectories], dtype=np.int64)
    for k in range(len(names)):
        members = np.flatnonzero(labels == k)
        whole = usable[members]
        window = {"size": 2 * half_width + 1, "axis": 0, "mode": "constant"}
        sums = uniform_filter1d(np.where(whole[:, None], points[members], 0.0), **window)
        counts = uniform_filter1d(whole[:, None].astype(np.float64), **window)
        averaged[members[whole]] = sums[whole] / counts[whole]
    return averaged
