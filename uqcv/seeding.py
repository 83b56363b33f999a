"""The one place where seeds come from."""

from __future__ import annotations

import zlib

import numpy as np


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return a seed for one purpose from the seed of a whole run; purposes do not disturb one another.

    >>> derive_seed(0, "walkers", 3) == derive_seed(0, "walkers", 3) != derive_seed(0, "walkers", 4)
    True
    """
    words = [p if isinstance(p, int) else zlib.crc32(p.encode()) for p in purpose]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0] % (2**31 - 1000))
