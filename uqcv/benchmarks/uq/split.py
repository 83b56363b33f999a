"""Which frames train, choose the epoch, calibrate and test: at random, whole groups together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uqcv.errors import InputError

PARTS = ("test", "calibration", "validation", "training")
# Shares of the frames that are not said: training first, then validation and calibration; the rest tests.
DEFAULT_SHARES = {"training": 0.5, "validation": 0.1, "calibration": 0.2}


@dataclass(frozen=True)
class Sizes:
    """Numbers of frames; fewer if groups do not fit.

    Attributes
    ----------
    training, validation, calibration, test
        A test size of 0 says that the test set is another.
    """

    training: int
    validation: int
    calibration: int
    test: int


def sizes_for(n: int, training: Sequence[int], given: dict[str, int | None], has_test: bool) -> list[Sizes]:
    """Return the sizes for each size of the training set; all but that are the same.

    Parameters
    ----------
    n
        Frames to split.
    training
        Sizes of the training set; one half of the frames if there are none.
    given
        Sizes of the other parts, None where it is not said.
    has_test
        Whether there is a test set already.

    Raises
    ------
    InputError
        If there are too few frames.
    """
    wanted = tuple(training) or (max(1, round(DEFAULT_SHARES["training"] * n)),)
    chosen = {
        part: given.get(part) or max(1, round(DEFAULT_SHARES[part] * n)) for part in ("validation", "calibration")
    }
    left = n - max(wanted) - sum(chosen.values())
    test = 0 if has_test else given.get("test") or left
    if min(*wanted, *chosen.values(), 0 if has_test else test) < 0 or left < test or (not has_test and test < 1):
        raise InputError(
            f"{max(wanted)} training, {chosen['validation']} validation, {chosen['calibration']} calibration and "
            f"{max(test, 0)} test frames were asked for; there are {n}: ask for fewer"
        )
    return [Sizes(size, chosen["validation"], chosen["calibration"], test) for size in wanted]


def split(groups: Sequence[str], sizes: Sizes, seed: int) -> dict[str, list[int]]:
    """Return indices of the frames of each part.

    Groups are shuffled; the first ones test, then come calibration, validation and training, each with the next groups
    that fit. So a larger training set of the same seed holds the smaller one, if groups are single frames, and all are
    tested on the same frames.

    Parameters
    ----------
    groups
        Group of each frame.
    sizes
        Of the parts.
    seed
        Of the shuffle.

    Raises
    ------
    InputError
        If a part that was asked for stays empty.
    """
    members: dict[str, list[int]] = {}
    for k, group in enumerate(groups):
        members.setdefault(group, []).append(k)
    order = list(members)
    waiting = [members[order[k]] for k in np.random.default_rng(seed).permutation(len(order))]
    parts: dict[str, list[int]] = {}
    for part in PARTS:
        wanted = getattr(sizes, part)
        chosen: list[int] = []
        later = []
        for frames in waiting:
            if len(chosen) + len(frames) <= wanted:
                chosen += frames
            else:
                later.append(frames)
        waiting = later
        if wanted and not chosen:
            raise InputError(f"no frames are left for {part}; ask for fewer frames in the other parts")
        parts[part] = chosen
    return parts
