"""How good the main job could get: the same potential, trained on labels spread evenly over the Ramachandran map.

    python benchmarks/uniform_labels.py runs/alanine_dipeptide [--labels 180]

takes the first training set of a finished campaign and adds labels from a second uniform set, made with another seed
than the campaign's test set: what a sampler that knows the answer would harvest. The schedule is the campaign's (a
first training, then warm ones on growing sets), and so is the test set. Prints one line.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from uqcv.active_learning.state import CampaignFolder
from uqcv.config import Config, load_config
from uqcv.errors import InputError, UqcvError
from uqcv.files import read_json
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.ramachandran import uniform_ramachandran
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.loss import measure_errors
from uqcv.potentials.potential import Potential
from uqcv.potentials.training import new_potential, train
from uqcv.seeding import derive_seed
from uqcv.simulation.torsions import backbone_torsions
from uqcv.structures import Structure, elements, read_structures

HELD_OUT = 10  # uniform frames that join the validation set


def uniform_pool(config: Config) -> list[Structure]:
    """Return labelled frames spread evenly over the map, in random order, none of them of the test set."""
    method = OpenMMForceField(Path(config.system.topology))
    seed = derive_seed(config.seed, "uniform labels")
    torsions, grid = backbone_torsions(method.topology), config.test.ramachandran_grid or 24
    pool = uniform_ramachandran(method, torsions, grid, config.test.temperature, seed=seed)
    return [pool[k] for k in np.random.default_rng(seed).permutation(len(pool))]


def trained(config: Config, stages: list[tuple[list[Structure], list[Structure]]]) -> Potential:
    """Return a potential trained on one pair of training and validation structures after the other."""
    torch.manual_seed(derive_seed(config.seed, 0, "weights"))
    potential: Potential | None = None
    for number, pair in enumerate(stages):
        training, validation = (Dataset(structures, config.potential.cutoff) for structures in pair)
        if potential is None:
            potential = new_potential(training, Potential(elements(training.structures), config.potential))
        seed = derive_seed(config.seed, number, "batches")
        train(potential, training, validation, config.training, seed, warm=number > 0)
    assert potential is not None
    return potential


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("--labels", type=int, help="labels to add; as many as the campaign's training set unless given")
    chosen = parser.parse_args()
    try:
        measure(chosen.campaign, chosen.labels)
    except UqcvError as error:
        raise SystemExit(f"uqcv: {error}") from error


def measure(campaign: Path, labels: int | None) -> None:
    """Train on the campaign's first frames and on uniform labels, and print the error on its test set."""
    config, folder = load_config(campaign / "config.yaml"), CampaignFolder(campaign)
    first = folder.generation(0)
    training, validation = (read_structures(p, labelled=True) for p in (first.training, first.validation))
    last = max(campaign.glob("generation-*/metrics.json"), default=first.metrics)
    n_labels = labels or read_json(last)["n_training"] - len(training)
    pool = uniform_pool(config)
    if not 0 < n_labels <= len(pool) - HELD_OUT:
        raise InputError(f"{n_labels} labels were asked for; 1 to {len(pool) - HELD_OUT} are there")
    rounds = max(1, config.campaign.generations - 1)
    shares = [round(n_labels * k / rounds) for k in range(rounds + 1)]
    held_out = pool[n_labels : n_labels + HELD_OUT]
    stages = [(training + pool[:n], validation + (held_out if n else [])) for n in shares]
    potential = trained(config, stages)
    errors = measure_errors(potential, Dataset(read_structures(folder.test, labelled=True), config.potential.cutoff))
    frames = f"{len(training)} frames and {n_labels} uniform labels"
    print(f"seed {config.seed}, {frames}: {1000 * errors.force_mae:.1f} meV/Å on the test set")


if __name__ == "__main__":
    main()
