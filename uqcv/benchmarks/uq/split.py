"""Which frames train, choose the epoch, calibrate and test: at random, whole groups together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uqcv.errors import InputError

PARTS = ("test", "calibration", "validation", "training")
# Frames without which a part says nothing: the options ask for no fewer either.
FEWEST = {"test": 3, "calibration": 2, "validation": 1, "training": 2}
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


@dataclass(frozen=True)
class Split:
    """One division of the data.

    Attributes
    ----------
    folder
        Its own.
    size
        Number of training frames that was asked for.
    seed
        Of the shuffle.
    parts
        Indices of the frames of each part.
    """

    folder: Path
    size: int
    seed: int
    parts: dict[str, list[int]]


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
    wanted = tuple(training) or (_default("training", n),)
    chosen = {part: given.get(part) or _default(part, n) for part in ("validation", "calibration")}
    left = n - max(wanted) - sum(chosen.values())
    asked = given.get("test")
    test = 0 if has_test else asked or left
    if left < test or (not has_test and test < FEWEST["test"]):
        fewest = {} if has_test else {"test": asked or f"at least {FEWEST['test']}"}
        wanted_parts = {"training": max(wanted), **chosen, **fewest}
        *first, last = (f"{number} {part}" for part, number in wanted_parts.items())
        raise InputError(
            f"{', '.join(first)} and {last} frames are wanted; there are {n}: ask for fewer or give more data"
        )
    return [Sizes(size, chosen["validation"], chosen["calibration"], test) for size in wanted]


def require_groups(groups: Sequence[str], key: str | None, parts: int) -> None:
    """Refuse data with fewer groups than parts.

    Raises
    ------
    InputError
        Naming the key.
    """
    n = len(set(groups))
    if n >= parts:
        return
    kind = f"one group of {key!r}" if n == 1 else f"{n} groups of {key!r}"
    given = f"the frames are {n} and their copies" if key is None else f"all {len(groups)} frames are {kind}"
    advice = "give more data" if key is None else f"give --group-key with {parts} values or more"
    raise InputError(f"{given}; at least one for each of {parts} parts is expected: {advice}")


def _default(part: str, n: int) -> int:
    return max(FEWEST[part], round(DEFAULT_SHARES[part] * n))


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
        If too few frames are left for a part.
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
        if wanted and len(chosen) < FEWEST[part]:
            raise InputError(
                f"{wanted} frames were asked for {part}, of which whole groups leave {len(chosen)}; at least "
                f"{FEWEST[part]} are expected: ask for fewer frames in the other parts, or for more here"
            )
        parts[part] = chosen
    return parts
