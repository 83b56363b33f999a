"""Data sets, plans and a whole comparison, small and real."""

import numpy as np
import pytest

from uqcv.benchmarks.uq import results
from uqcv.benchmarks.uq.data import Source
from uqcv.benchmarks.uq.plan import make_plan
from uqcv.benchmarks.uq.run import compare
from uqcv.benchmarks.uq.scores import Scores
from uqcv.potentials.settings import TrainingSettings
from uqcv.structures import write_structures
from uqcv.uncertainty.ensemble import EnsembleSettings


@pytest.fixture(scope="session")
def make_npz(frames):
    """Write frames as a file of rMD17, which counts in kcal/mol: 1 eV is 23.0605 of them; with some arrays changed."""

    def make(path, n=12, **changes):
        chosen = frames[:n]
        arrays = {
            "nuclear_charges": chosen[0].numbers,
            "coords": np.array([s.positions for s in chosen]),
            "energies": np.array([s.energy for s in chosen]) * 23.0605478,
            "forces": np.array([s.forces for s in chosen]) * 23.0605478,
            "old_indices": np.arange(n),
        }
        with open(path, "wb") as file:
            np.savez(file, **(arrays | changes))
        return path

    return make


@pytest.fixture(scope="session")
def make_uq_plan(network, uncertainty):
    """A plan of two methods, one of them an ensemble of two, with one seed."""

    def make(source, training=(8,), held_out=None, seeds=1, only=("gmm", "ensemble")):
        settings = {
            "potential": network,
            "training": TrainingSettings(epochs=2, warmup_steps=2, compiled=False),
            "uncertainty": uncertainty.model_copy(update={"ensemble": EnsembleSettings(members=2)}),
        }
        return make_plan(source, training, held_out or {}, seeds, only, settings)

    return make


@pytest.fixture(scope="session")
def plan(frames, make_uq_plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_structures(folder / "here.extxyz", frames[:24])
    write_structures(folder / "there.extxyz", frames[24:30])
    source = Source((folder / "here.extxyz",), (folder / "there.extxyz",))
    return make_uq_plan(source, held_out={"validation": 4, "calibration": 5, "test": 5})


@pytest.fixture(scope="session", autouse=True)
def no_timing():
    """Steps are not timed: each method would be compiled for a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "time_methods", lambda bundles, *_: {m: {"ms": 1.0} for m in bundles})
        yield


@pytest.fixture(scope="session")
def compared(plan, no_timing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return folder, compare(plan, folder, processes=2)


@pytest.fixture(scope="session")
def made_up():
    """Frames of 3 to 5 atoms; errors are normal with the deviation 0.1 + 0.05 u of each component."""

    def make(seed: int, n_frames: int = 150, noise: float = 0.0) -> Scores:
        random = np.random.default_rng(seed)
        counts = random.integers(3, 6, n_frames)
        u = random.chisquare(3, counts.sum()) * np.repeat(random.uniform(0.2, 2, n_frames), counts)
        residuals = random.normal(size=(len(u), 3)) * (0.1 + 0.05 * u)[:, None]
        seen = u + noise * random.normal(size=len(u))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        pooled = np.add.reduceat(seen, starts) / counts
        groups = np.arange(n_frames).astype(str)
        numbers = random.choice([1, 6], len(u))
        return Scores(seen, residuals, pooled, numbers, counts, groups, random.normal(size=n_frames))

    return make
