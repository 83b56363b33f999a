"""Training the networks of an uncertainty: one, or the members of an ensemble one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from uqcv.colvars.methods import Networks
from uqcv.errors import InputError
from uqcv.potentials.cores import n_epochs
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.loss import ForceLoss
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.storage import load_potential, save_potential
from uqcv.potentials.training import Report, new_potential, train
from uqcv.progress import progress
from uqcv.seeding import derive_seed
from uqcv.structures import Structure, elements


@dataclass(frozen=True)
class Places:
    """Files of the first network; those of the others have its number in their names.

    Attributes
    ----------
    potential
        The trained network.
    checkpoint
        Training in progress; it goes when all networks are trained.
    history
        Losses per epoch.
    """

    potential: Path
    checkpoint: Path
    history: Path


def of_member(path: Path, k: int) -> Path:
    """Return the path of the k-th network: potential.pt, potential-1.pt, and so on."""
    return path if k == 0 else path.with_name(f"{path.stem}-{k}{path.suffix}")


def train_networks(
    needed: Networks,
    training: Sequence[Structure],
    validation: Sequence[Structure],
    architecture: PaiNNSettings,
    settings: TrainingSettings,
    seed_of: Callable[[str], int],
    places: Places,
    title: str,
    start: Path | None = None,
) -> list[Potential]:
    """Train what is needed and write it; return the networks.

    Parameters
    ----------
    needed
        How many networks, with which outputs and loss.
    training, validation
        Labelled structures.
    architecture, settings
        Of the networks and of their training.
    seed_of
        Gives a seed for a purpose; members beyond the first derive theirs from it.
    places
        Where files go.
    title
        What progress is called.
    start
        First of the trained networks to go on from.
    """
    trained = []
    for k in range(needed.number):
        seeds = {purpose: _member_seed(seed_of(purpose), k) for purpose in ("weights", "batches")}
        torch.manual_seed(seeds["weights"])
        frames = resampled(training, seeds["batches"]) if needed.bootstrap and k else training
        known = elements([*training, *validation])
        before = None if start is None else load_network(start, k, needed)
        name = title if needed.number == 1 else f"{title}, network {k + 1} of {needed.number}"
        own = Places(*(of_member(path, k) for path in (places.potential, places.checkpoint, places.history)))
        fresh = before or Potential(known, architecture, needed.n_outputs)
        warm = before is not None
        with progress(name, n_epochs(settings, warm)) as update:
            trained.append(
                train_one(fresh, frames, validation, settings, seeds["batches"], needed.force_loss, own, update, warm)
            )
    for k in range(needed.number):
        of_member(places.checkpoint, k).unlink(missing_ok=True)
    return trained


def load_networks(path: Path, needed: Networks) -> list[Potential]:
    """Read the networks that `train_networks` wrote, the first of which is at `path`."""
    return [load_network(path, k, needed) for k in range(needed.number)]


def load_network(path: Path, k: int, needed: Networks) -> Potential:
    """Read the k-th network.

    Raises
    ------
    InputError
        If it was trained for another uncertainty.
    """
    potential = load_potential(of_member(path, k))
    if potential.n_outputs != needed.n_outputs:
        raise InputError(
            f"{of_member(path, k)}: has {potential.n_outputs} outputs per atom beside the energy, uncertainty.method "
            f"expects {needed.n_outputs}; train it with the same uncertainty.method"
        )
    return potential


def _member_seed(seed: int, k: int) -> int:
    return seed if k == 0 else derive_seed(seed, "member", k)


def resampled(frames: Sequence[Structure], seed: int) -> list[Structure]:
    """Return as many frames, drawn with replacement."""
    return [frames[k] for k in np.random.default_rng(seed).integers(0, len(frames), len(frames))]


def train_one(
    potential: Potential,
    training: Sequence[Structure],
    validation: Sequence[Structure],
    settings: TrainingSettings,
    seed: int,
    force_loss: ForceLoss,
    places: Places,
    report: Report,
    warm: bool = False,
) -> Potential:
    """Train one network and write it; return it in single precision.

    Parameters
    ----------
    potential
        Fresh, or with `warm` one that is trained and goes on.
    training, validation, settings, seed, force_loss, report
        As for `uqcv.potentials.training.train`.
    places
        Where files go.
    warm
        Whether it goes on.
    """
    dtype, cutoff = getattr(torch, settings.dtype), potential.settings.cutoff
    seen, unseen = (Dataset(frames, cutoff, dtype, settings.device) for frames in (training, validation))
    if not warm:
        new_potential(seen, potential)
    potential.to_dtype(dtype).to(settings.device)
    train(potential, seen, unseen, settings, seed, warm, places.checkpoint, places.history, report, force_loss)
    save_potential(potential.to_dtype(torch.float32).to("cpu"), places.potential)
    return potential
