"""Work items that train: one network of one split in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from uqcv.active_learning.networks import Places, of_member, resampled, train_one
from uqcv.benchmarks.uq.clock import Clock
from uqcv.benchmarks.uq.places import MADE_AGAIN
from uqcv.colvars.methods import networks_for
from uqcv.errors import InputError
from uqcv.files import read_json
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.storage import load_potential
from uqcv.seeding import derive_seed
from uqcv.structures import elements, read_structures
from uqcv.uncertainty.settings import Method, UncertaintySettings

PLAIN = "plain"


@dataclass(frozen=True)
class TrainingItem:
    """One network to train.

    Attributes
    ----------
    folder
        Of the split; holds training.extxyz and validation.extxyz.
    kind
        `PLAIN`, or the method that the network learns for.
    number
        Among the networks of its kind.
    seed
        Of the split.
    architecture, training, uncertainty
        Settings.
    """

    folder: Path
    kind: str
    number: int
    seed: int
    architecture: PaiNNSettings
    training: TrainingSettings
    uncertainty: UncertaintySettings

    @property
    def path(self) -> Path:
        """The trained network."""
        return of_member(self.folder / "networks" / f"{self.kind}.pt", self.number)

    @property
    def is_done(self) -> bool:
        """Whether it is trained."""
        return self.path.is_file() and self.cost_path.is_file()

    @property
    def cost_path(self) -> Path:
        """What the training took."""
        return self.path.with_suffix(".json")


def kind_of(method: Method, uncertainty: UncertaintySettings) -> str:
    """Return the kind of network that a method needs; all that need nothing special share theirs."""
    return method if networks_for(uncertainty.model_copy(update={"method": method})).n_outputs else PLAIN


def train_item(item: TrainingItem, progress: Callable[[int], None]) -> None:
    """Train a network to its end; one that was stopped goes on from its last epoch."""
    if item.is_done:
        progress(item.training.epochs)
        return
    torch.set_num_threads(1)  # every core has a network of its own
    item.path.parent.mkdir(parents=True, exist_ok=True)
    method: Method = "gmm" if item.kind == PLAIN else item.kind  # type: ignore[assignment]
    needed = networks_for(item.uncertainty.model_copy(update={"method": method}))
    seed = derive_seed(item.seed, "network", item.number)
    torch.manual_seed(derive_seed(seed, "weights"))
    training, validation = (
        read_structures(item.folder / f"{part}.extxyz", labelled=True) for part in ("training", "validation")
    )
    potential = Potential(elements([*training, *validation]), item.architecture, needed.n_outputs)
    if item.kind == PLAIN and item.number and item.uncertainty.ensemble.bootstrap:
        training = resampled(training, derive_seed(seed, "batches"))
    clock = Clock(item.cost_path, time.process_time)

    def note(epoch: float, _: str) -> None:
        clock.note()
        progress(int(epoch))

    checkpoint = item.path.with_suffix(".checkpoint")
    places = Places(item.path, checkpoint, item.path.with_suffix(".csv"))
    batches = derive_seed(seed, "batches")
    train_one(potential, training, validation, item.training, batches, needed.force_loss, places, note)
    checkpoint.unlink(missing_ok=True)
    progress(item.training.epochs)


def load_trained(folder: Path, method: Method, uncertainty: UncertaintySettings) -> list[Potential]:
    """Return the networks that a method needs, trained in the folder of a split.

    Raises
    ------
    InputError
        If one is missing or damaged.
    """
    first = folder / "networks" / f"{kind_of(method, uncertainty)}.pt"
    needed = networks_for(uncertainty.model_copy(update={"method": method}))
    return [_load(of_member(first, k)) for k in range(needed.number)]


def _load(path: Path) -> Potential:
    try:
        return load_potential(path)
    except InputError as error:
        raise InputError(f"{path}: is no network of this comparison; {MADE_AGAIN}") from error


def training_seconds(folder: Path, method: Method, uncertainty: UncertaintySettings) -> float:
    """Return the seconds of processor time that the networks of a method took to train."""
    first = folder / "networks" / f"{kind_of(method, uncertainty)}.pt"
    number = networks_for(uncertainty.model_copy(update={"method": method})).number
    costs = [read_json(of_member(first, k).with_suffix(".json"), MADE_AGAIN) for k in range(number)]
    return sum(float(cost["seconds"]) for cost in costs)
