"""Seeds: the same for the same purpose, another for another, and no purpose disturbs the next."""

import subprocess
import sys
from itertools import product

import numpy as np

from uqcv.seeding import derive_seed


def test_the_same_in_any_process():
    code = "from uqcv.seeding import derive_seed; print(derive_seed(3, 'walkers', 2))"
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        )
        assert int(done.stdout) == derive_seed(3, "walkers", 2)


def test_purposes_differ():
    purposes = product(range(20), range(5), ("weights", "batches", "mixture", "starts", "walkers"))
    seeds = [derive_seed(seed, generation, name) for seed, generation, name in purposes]
    assert len(set(seeds)) == len(seeds) == 500
    assert derive_seed(0, "a", "b") != derive_seed(0, "b", "a") != derive_seed(0, "a")


def test_every_engine_takes_it():
    """OpenMM takes 32 bits with a sign, and walkers add their number to the seed of all."""
    seeds = np.array([derive_seed(k, "walkers") for k in range(2000)])
    assert seeds.min() >= 0 and seeds.max() + 1000 < 2**31
    assert abs(seeds.mean() / 2**30 - 1) < 0.1, "they fill the range"
