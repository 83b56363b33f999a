"""Parts of a batch add up to the batch, in one process or in several."""

import os
import signal

import numpy as np
import pytest
import torch

from uqcv.errors import UqcvError
from uqcv.potentials import gradients
from uqcv.potentials.cores import Cores, training_cores
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.gradients import BatchGradients, ParallelGradients, gradients_of
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train

SETTINGS = TrainingSettings(
    epochs=2, batch_size=5, energy_weight=7.0, force_weight=0.4, dtype="float64", compiled=False
)
CUTOFF = 4.0


@pytest.fixture
def data(frames, molecule) -> Dataset:
    """Molecules of two sizes: a part then has other shares of structures and of atoms."""
    whole = frames[:6]
    kept = np.arange(len(molecule)) < 13
    halves = [f.__class__(f.numbers[kept], f.positions[kept], energy=f.energy, forces=f.forces[kept]) for f in whole]
    return Dataset([*whole, *halves[:3]], CUTOFF, torch.float64)


@pytest.fixture
def potential(data, make_potential) -> Potential:
    return new_potential(data, make_potential())


def vector(potential: Potential) -> np.ndarray:
    gradients = gradients_of(list(potential.parameters()))
    assert len(gradients) == len(list(potential.parameters()))
    return np.concatenate([g.numpy().ravel() for g in gradients])


def test_parts_add_up(data, potential):
    gradients = BatchGradients(potential, data, SETTINGS, False, 5)
    batch = [0, 7, 3, 8, 1]
    loss = gradients(batch).item()
    expected = vector(potential)
    losses, sums = [], []
    for part in ([0, 7], [3], [8, 1]):
        losses.append(gradients(part, batch).item())
        sums.append(vector(potential))
    assert sum(losses) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(np.sum(sums, axis=0), expected, atol=1e-12 * np.abs(expected).max())


def test_processes_give_the_gradients_of_one(data, potential):
    alone = BatchGradients(potential, data, SETTINGS, False, 5)
    shared = ParallelGradients(potential, data, SETTINGS, False, 2, 1)
    for scale, batch in ((1.0, [0, 7, 3, 8, 1]), (1.1, [2, 6, 4, 5])):
        with torch.no_grad():
            for parameter in potential.parameters():
                parameter.mul_(scale)
        loss = alone(batch).item()
        expected = vector(potential)
        assert shared(batch).item() == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(vector(potential), expected, atol=1e-12 * np.abs(expected).max())
        assert np.abs(expected).max() > 0
    os.kill(shared._helpers[0].pid, signal.SIGKILL)
    with pytest.raises(UqcvError, match="exit code -9"):
        shared([0, 1, 2, 3, 4])
    shared.close()


@pytest.mark.parametrize(("processes", "expected"), [(2, [3, 2]), (3, [2, 2, 1]), (4, [2, 2, 1]), (9, [1] * 5)])
def test_each_process_prepares_for_its_own_part(data, potential, monkeypatch, processes, expected):
    """A step that is compiled for another size would run uncompiled, at a third of the speed."""
    sizes = []

    class Recorded(BatchGradients):
        def __init__(self, potential, data, settings, compiled, size, *more):
            sizes.append(size)
            super().__init__(potential, data, settings, compiled, size, *more)

    class Here:
        """Stands for a process, which could not be looked into."""

        def __init__(self, factory, *arguments):
            self.served = factory(*arguments)

        def send(self, method, indices, batch):
            assert len(indices) == self.size
            self.loss = getattr(self.served, method)(indices, batch)

        def receive(self):
            return self.loss

        @property
        def size(self):
            return sizes[helpers.index(self)]

        def close(self):
            pass

    monkeypatch.setattr(gradients, "BatchGradients", Recorded)
    monkeypatch.setattr(gradients, "RemoteObject", Here)
    shared = ParallelGradients(potential, data, SETTINGS, False, processes, torch.get_num_threads())
    helpers = shared._helpers
    expected_loss = BatchGradients(potential, data, SETTINGS, False, 5)([0, 1, 2, 3, 4]).item()
    assert shared([0, 1, 2, 3, 4]).item() == pytest.approx(expected_loss, rel=1e-12)
    assert [*sizes[len(helpers) :], *sizes[: len(helpers)]] == expected
    shared.close()


def test_training_ends_in_the_same_weights(data, make_potential):
    """Nine frames in batches of five: the second batch is smaller."""
    ends = []
    for processes in (1, 2):
        settings = SETTINGS.model_copy(update={"processes": processes})
        ends.append(train(new_potential(data, make_potential()), data, data, settings, seed=0).state_dict())
    for one, other in zip(ends[0].values(), ends[1].values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_processes_are_refused_on_another_device():
    with pytest.raises(ValueError, match="processes 2 on cuda: only a CPU shares batches"):
        TrainingSettings(processes=2, device="cuda")


@pytest.mark.parametrize(
    ("cores", "changes", "expected"),
    [
        (2, {}, Cores(1, 2)),
        (4, {}, Cores(2, 2)),
        (16, {}, Cores(5, 3)),
        (64, {}, Cores(5, 4)),
        (16, {"epochs": 3}, Cores(1, 4)),
        (16, {"device": "cuda"}, Cores(1, 4)),
        (2, {"processes": 2}, Cores(2, 1)),
        (2, {"processes": 9, "threads": 3}, Cores(5, 3)),
    ],
)
def test_processes_and_threads_fit_the_cores(monkeypatch, cores, changes, expected):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    settings = SETTINGS.model_copy(update={"epochs": 40} | changes)
    assert training_cores(settings, 100, warm=False) == expected
