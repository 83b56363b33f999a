"""Force matching: training a potential on energies and forces."""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from uqcv.errors import InputError
from uqcv.files import write_text
from uqcv.potentials.cores import Cores, is_long, limited_threads, n_epochs, training_cores
from uqcv.potentials.dataset import Dataset, element_offsets, force_scale
from uqcv.potentials.gradients import BatchGradients, ParallelGradients
from uqcv.potentials.loss import Errors, ForceLoss, mean_square, measure_errors
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.storage import read_tensors, save_tensors

Report = Callable[[int, str], None]
Gradients = Callable[[Sequence[int]], Tensor]
HISTORY_COLUMNS = ("epoch", "learning_rate", "train_loss", "validation_loss", "energy_mae", "force_mae")


@dataclass
class _State:
    """All that a training run needs to go on."""

    potential: Potential
    average: Potential
    optimizer: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LambdaLR
    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, Tensor] | None = None
    history: tuple[tuple[float, ...], ...] = ()
    train_loss: float = math.nan

    def __post_init__(self) -> None:
        # Walking the modules for them in each step would take a tenth of it.
        self.parameters = list(self.potential.parameters())
        self.averages = list(self.average.parameters())

    def to_dict(self) -> dict[str, Any]:
        plain = ("epoch", "best_epoch", "best_loss", "best_weights", "history")
        stateful = ("potential", "average", "optimizer", "schedule")
        return {k: getattr(self, k) for k in plain} | {k: getattr(self, k).state_dict() for k in stateful}

    def restore(self, saved: dict[str, Any]) -> None:
        for name in ("potential", "average", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(saved.pop(name))
        for name, value in saved.items():
            setattr(self, name, value)


def new_potential(data: Dataset, potential: Potential) -> Potential:
    """Set the offsets and the scale of an untrained `potential` from the labels in `data`; return it."""
    offsets = element_offsets(data.structures, potential.elements)
    potential.offsets.copy_(torch.as_tensor(offsets))
    potential.scale.fill_(force_scale(data.structures))
    return potential


def train(
    potential: Potential,
    training: Dataset,
    validation: Dataset,
    settings: TrainingSettings,
    seed: int,
    warm: bool = False,
    checkpoint: Path | None = None,
    history_path: Path | None = None,
    report: Report | None = None,
    force_loss: ForceLoss = mean_square,
) -> Potential:
    """Train `potential` and return it with the weights that did best on `validation`.

    The result depends only on the arguments: the order of batches comes from `seed` and the epoch, and a run that
    was stopped goes on from its checkpoint to the same weights.

    Parameters
    ----------
    potential
        Trained in place: fresh (see `new_potential`) or, with `warm`, of an earlier generation.
    training, validation
        Labelled structures; their validation chooses the epoch and stops the run.
    settings
        Epochs, rates and weights.
    seed
        Of the order of batches.
    warm
        Whether the epochs and the learning rate of a warm start are used.
    checkpoint
        File written after each epoch and read at the start if it belongs to the same run.
    history_path
        CSV of losses.
    report
        Called with the epoch and a line about the losses.
    force_loss
        What is made small of forces; that of a potential with outputs may need them.
    """
    state = _start(potential, settings, len(training), warm)
    identity = _identity(potential, training, validation, settings, seed, warm, force_loss)
    _resume(state, checkpoint, identity, history_path)
    epochs, cores = n_epochs(settings, warm), training_cores(settings, len(training), warm)
    ways = _gradients(potential, training, settings, warm, cores, force_loss)
    with limited_threads(cores.threads), closing(ways) as gradients:
        while state.epoch < epochs and state.epoch - state.best_epoch < settings.patience:
            _one_epoch(state, gradients, training, settings, seed)
            _judge(state, measure_errors(state.average, validation, settings, force_loss))
            _save(state, checkpoint, identity, history_path)
            if report is not None:
                report(state.epoch, _describe(state.history[-1]))
    assert state.best_weights is not None
    potential.load_state_dict(state.best_weights)
    return potential.eval()


def _gradients(
    potential: Potential, data: Dataset, settings: TrainingSettings, warm: bool, cores: Cores, force_loss: ForceLoss
) -> BatchGradients | ParallelGradients:
    compiled = is_long(settings, len(data), warm) if settings.compiled == "auto" else settings.compiled
    if cores.processes == 1:
        return BatchGradients(potential, data, settings, compiled, settings.batch_size, force_loss)
    return ParallelGradients(potential, data, settings, compiled, *cores, force_loss)


def _start(potential: Potential, settings: TrainingSettings, n_frames: int, warm: bool) -> _State:
    rate = settings.warm_learning_rate if warm else settings.learning_rate
    total = n_epochs(settings, warm) * math.ceil(n_frames / settings.batch_size)

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / (settings.warmup_steps + 1))
        return rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))))

    optimizer = torch.optim.AdamW(potential.parameters(), lr=rate, weight_decay=settings.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return _State(potential, copy.deepcopy(potential), optimizer, schedule)


def _one_epoch(state: _State, gradients: Gradients, training: Dataset, settings: TrainingSettings, seed: int) -> None:
    state.potential.train()
    losses = []
    for indices in training.parts(settings.batch_size, seed=seed * 100_003 + state.epoch):
        loss = gradients(indices)
        torch.nn.utils.clip_grad_norm_(state.parameters, settings.clip)
        state.optimizer.step()
        state.schedule.step()
        n_steps = state.schedule.last_epoch
        decay = settings.ema_decay if n_steps > 1 else 0.0  # the mean begins with the first step
        get_ema_multi_avg_fn(decay)(state.averages, state.parameters, n_steps)
        losses.append(loss.item())
    state.train_loss = float(np.mean(losses))


def _judge(state: _State, errors: Errors) -> None:
    """Count the epoch, and keep the weights if none before did better."""
    if not math.isfinite(errors.loss):
        raise InputError(f"training diverged in epoch {state.epoch + 1}; lower the learning rate or check the labels")
    state.epoch += 1
    if errors.loss < state.best_loss:
        state.best_loss, state.best_epoch = errors.loss, state.epoch
        state.best_weights = {k: v.clone() for k, v in state.average.state_dict().items()}
    rate = state.optimizer.param_groups[0]["lr"]
    row = (state.epoch, rate, state.train_loss, errors.loss, errors.energy_mae, errors.force_mae)
    state.history = (*state.history, row)


def _describe(row: tuple[float, ...]) -> str:
    _, _, train_loss, validation_loss, _, force_mae = row
    return f"loss {train_loss:.4g}, validation {validation_loss:.4g}, forces {1000 * force_mae:.1f} meV/Å"


def _identity(
    potential: Potential,
    training: Dataset,
    validation: Dataset,
    settings: TrainingSettings,
    seed: int,
    warm: bool,
    force_loss: ForceLoss,
) -> str:
    weights = hashlib.sha256()
    for name, tensor in potential.state_dict().items():
        weights.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    parts = (
        weights.hexdigest(),
        training.fingerprint(),
        validation.fingerprint(),
        settings.model_dump_json(),
        str(seed),
        str(warm),
        "mean square" if force_loss is mean_square else repr(force_loss),
    )
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _resume(state: _State, checkpoint: Path | None, identity: str, history_path: Path | None) -> None:
    if checkpoint is None or not checkpoint.exists():
        return
    kind, advice = "a training checkpoint", "delete it to train from the start"
    saved = read_tensors(checkpoint, kind, advice)
    if not isinstance(saved, dict):
        raise InputError(f"{checkpoint}: is not {kind}; {advice}")
    if saved.pop("identity", None) == identity:
        state.restore(saved)
        _write_history(state, history_path)  # a run may have been killed before it wrote that of its last epoch


def _save(state: _State, checkpoint: Path | None, identity: str, history_path: Path | None) -> None:
    if checkpoint is not None:
        save_tensors(state.to_dict() | {"identity": identity}, checkpoint)
    _write_history(state, history_path)


def _write_history(state: _State, path: Path | None) -> None:
    if path is not None:
        text = io.StringIO()
        csv.writer(text).writerows([HISTORY_COLUMNS, *state.history])
        write_text(path, text.getvalue())
