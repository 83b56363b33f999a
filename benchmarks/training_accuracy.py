"""Whether the compiled training step ends where the eager one does: same data, same first weights, same batches.

    python benchmarks/training_accuracy.py [--seeds 0 1 2] [--epochs 60]

Trains alanine dipeptide (100 frames of ff14SB at 300 K, default settings) both ways for each seed, and prints force
errors on 200 later frames at 500 K and the seconds that each took, compiling included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch

from uqcv.benchmarks.cases import MOLECULE
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.reference_md import sample_reference
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.loss import measure_errors
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train
from uqcv.structures import Structure, elements

CUTOFF = PaiNNSettings().cutoff


def trained(frames: Sequence[Structure], seed: int, epochs: int, compiled: bool) -> tuple[Potential, float]:
    """Return a potential and the seconds that its training took."""
    torch.manual_seed(seed)
    training, validation = Dataset(frames[:100], CUTOFF), Dataset(frames[100:], CUTOFF)
    potential = new_potential(training, Potential(elements(frames), PaiNNSettings()))
    settings = TrainingSettings(epochs=epochs, compiled=compiled)
    start = time.perf_counter()
    return train(potential, training, validation, settings, seed), time.perf_counter() - start


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()
    if arguments.epochs < 1 or min(arguments.seeds) < 0:
        parser.error(
            f"--epochs {arguments.epochs} --seeds {arguments.seeds}: epochs from 1 and seeds from 0 are expected"
        )
    method = OpenMMForceField(MOLECULE)
    frames = sample_reference(method, method.structure, 150, 300.0, 100.0, seed=0, equilibration=2000.0)
    test = sample_reference(method, method.structure, 200, 500.0, 100.0, seed=1, equilibration=2000.0)
    errors: dict[bool, list[float]] = {False: [], True: []}
    for seed in arguments.seeds:
        for compiled in (False, True):
            potential, seconds = trained(frames, seed, arguments.epochs, compiled)
            errors[compiled].append(1000 * measure_errors(potential, Dataset(test, CUTOFF)).force_mae)
            name = "compiled" if compiled else "eager"
            print(f"seed {seed}  {name:9s} force MAE {errors[compiled][-1]:.2f} meV/Å  {seconds:.1f} s", flush=True)
    difference = np.array(errors[True]) - np.array(errors[False])
    print(
        f"eager {np.mean(errors[False]):.2f}, compiled {np.mean(errors[True]):.2f} meV/Å over {len(difference)} seeds;"
    )
    print(f"difference {difference.mean():+.2f}, spread over seeds of eager {np.std(errors[False]):.2f} meV/Å")


if __name__ == "__main__":
    main()
