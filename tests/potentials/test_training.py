"""Training learns, repeats itself, and goes on from where it was stopped to the very same weights."""

import csv
from typing import ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from uqcv.errors import InputError
from uqcv.files import write_text
from uqcv.potentials.cores import n_epochs
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.loss import loss_of, measure_errors
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import HISTORY_COLUMNS, new_potential, train

SETTINGS = TrainingSettings(
    epochs=4, warm_epochs=2, batch_size=4, learning_rate=2e-3, energy_weight=10.0, force_weight=0.5, warmup_steps=3
)
LEARNING = SETTINGS.model_copy(
    update={"epochs": 20, "warm_epochs": 1, "batch_size": 2, "learning_rate": 0.01, "ema_decay": 0.5}
)


class Stopped(Exception):  # noqa: N818
    """Somebody pulled the plug."""


@pytest.fixture(scope="module")
def data(frames) -> tuple[Dataset, Dataset]:
    return Dataset(frames[:8], 4.0), Dataset(frames[20:24], 4.0)


@pytest.fixture
def fresh(make_potential, data):
    """An untrained network, with offsets and scale from the labels."""

    def make(seed: int = 0, **changes):
        return new_potential(data[0], make_potential(seed=seed, dtype=torch.float32, **changes))

    return make


def stop_after(k: int):
    def report(epoch: int, line: str) -> None:
        if epoch == k:
            raise Stopped

    return report


def same(a, b) -> bool:
    """Whether two networks are bitwise the same."""
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_errors_fall(fresh, data):
    potential = fresh()
    before = measure_errors(potential, data[1])
    train(potential, *data, LEARNING, seed=0)
    after = measure_errors(potential, data[1])
    assert after.loss < 0.8 * before.loss
    assert after.force_mae < 0.85 * before.force_mae


def test_training_repeats_itself(fresh, data):
    a, b, other = (train(fresh(), *data, SETTINGS, seed=s) for s in (0, 0, 1))
    assert same(a, b)
    assert not same(a, other)


@pytest.mark.parametrize("k", [1, 3])
def test_a_stopped_run_goes_on_to_the_same_weights(fresh, data, tmp_path, k):
    checkpoint, history = tmp_path / "training.pt", tmp_path / "history.csv"
    whole = train(fresh(), *data, SETTINGS, seed=0, history_path=tmp_path / "whole.csv")
    with pytest.raises(Stopped):
        train(fresh(), *data, SETTINGS, seed=0, checkpoint=checkpoint, report=stop_after(k))
    epochs = []
    resumed = train(
        fresh(), *data, SETTINGS, 0, checkpoint=checkpoint, history_path=history, report=lambda e, _: epochs.append(e)
    )
    assert epochs == list(range(k + 1, SETTINGS.epochs + 1)), "finished epochs are not done again"
    assert same(resumed, whole)
    assert history.read_text() == (tmp_path / "whole.csv").read_text()


def test_a_crash_between_the_checkpoint_and_the_losses(fresh, data, tmp_path, monkeypatch):
    """In the last epoch: its line is there in the end, and once."""
    checkpoint, history = tmp_path / "training.pt", tmp_path / "history.csv"

    def crash_at_the_end(path, text) -> None:
        if text.count("\n") > SETTINGS.epochs:
            raise Stopped
        write_text(path, text)

    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr("uqcv.potentials.training.write_text", crash_at_the_end)
        train(fresh(), *data, SETTINGS, 0, checkpoint=checkpoint, history_path=history)
    train(fresh(), *data, SETTINGS, 0, checkpoint=checkpoint, history_path=history)
    assert [line.split(",")[0] for line in history.read_text().splitlines()[1:]] == [
        str(epoch + 1) for epoch in range(SETTINGS.epochs)
    ]


def test_a_finished_run_is_not_done_again(fresh, data, tmp_path):
    first = train(fresh(), *data, SETTINGS, seed=0, checkpoint=tmp_path / "c.pt")
    again = train(fresh(), *data, SETTINGS, seed=0, checkpoint=tmp_path / "c.pt", report=stop_after(SETTINGS.epochs))
    assert same(first, again)


def test_the_checkpoint_of_another_run_is_not_used(fresh, data, frames, tmp_path):
    checkpoint = tmp_path / "training.pt"
    others = Dataset(frames[8:16], 4.0)
    with pytest.raises(Stopped):
        train(fresh(), others, data[1], SETTINGS, seed=0, checkpoint=checkpoint, report=stop_after(1))
    assert same(train(fresh(), *data, SETTINGS, 0, checkpoint=checkpoint), train(fresh(), *data, SETTINGS, 0))


@pytest.mark.parametrize(
    "changes", [{"seed": 3}, {"warm": True}, {"settings": SETTINGS.model_copy(update={"clip": 5.0})}]
)
def test_the_checkpoint_of_other_arguments_is_not_used(fresh, data, tmp_path, changes):
    checkpoint, usual = tmp_path / "training.pt", {"settings": SETTINGS, "seed": 0}
    with pytest.raises(Stopped):
        train(fresh(), *data, **usual | changes, checkpoint=checkpoint, report=stop_after(1))
    assert same(train(fresh(), *data, **usual, checkpoint=checkpoint), train(fresh(), *data, **usual))


def test_each_epoch_has_an_order_of_its_own(fresh, frames, data):
    class Recorded(Dataset):
        orders: ClassVar[list] = []

        def parts(self, size, seed=None):
            parts = super().parts(size, seed)
            self.orders.append([k for part in parts for k in part])
            return parts

    train(fresh(), Recorded(frames[:8], 4.0), data[1], SETTINGS, seed=0)
    assert len({tuple(order) for order in Recorded.orders}) == SETTINGS.epochs
    assert all(sorted(order) == list(range(8)) for order in Recorded.orders)


@pytest.mark.parametrize("changes", [{"seed": 5}, {"n_features": 8}, {"n_layers": 1}])
def test_the_checkpoint_of_another_network_is_not_used(fresh, data, tmp_path, changes):
    checkpoint = tmp_path / "training.pt"
    with pytest.raises(Stopped):
        train(fresh(**changes), *data, SETTINGS, seed=0, checkpoint=checkpoint, report=stop_after(2))
    assert same(train(fresh(), *data, SETTINGS, 0, checkpoint=checkpoint), train(fresh(), *data, SETTINGS, 0))


def test_a_broken_checkpoint_is_named(fresh, data, tmp_path):
    checkpoint = tmp_path / "training.pt"
    with pytest.raises(Stopped):
        train(fresh(), *data, SETTINGS, seed=0, checkpoint=checkpoint, report=stop_after(1))
    whole = checkpoint.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        checkpoint.write_bytes(broken)
        with pytest.raises(InputError, match=r"training\.pt: .*a training checkpoint.*; delete it") as caught:
            train(fresh(), *data, SETTINGS, seed=0, checkpoint=checkpoint)
        assert "\n" not in str(caught.value)


def test_another_kind_of_file_as_checkpoint(fresh, data, tmp_path):
    checkpoint = tmp_path / "training.pt"
    torch.save({"weights": torch.zeros(3)}, checkpoint)
    assert same(train(fresh(), *data, SETTINGS, 0, checkpoint=checkpoint), train(fresh(), *data, SETTINGS, 0))


def test_no_half_checkpoint_is_left(fresh, data, tmp_path):
    with pytest.raises(Stopped):
        train(fresh(), *data, SETTINGS, seed=0, checkpoint=tmp_path / "c.pt", report=stop_after(1))
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_early_stopping_keeps_the_best_epoch(fresh, data, tmp_path):
    # a rate this high makes the validation loss go up and down
    settings = TrainingSettings(epochs=40, batch_size=4, learning_rate=0.05, warmup_steps=0, patience=2, ema_decay=0)
    potential = train(fresh(), *data, settings, seed=0, history_path=tmp_path / "history.csv")
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    losses = [float(r["validation_loss"]) for r in rows]
    assert tuple(rows[0]) == HISTORY_COLUMNS
    assert len(losses) < 40
    assert len(losses) - 1 - int(np.argmin(losses)) == settings.patience
    assert measure_errors(potential, data[1], settings).loss == pytest.approx(min(losses), rel=1e-6)
    assert min(losses) < losses[-1]


def test_a_warm_start_goes_on_from_what_was_learned(fresh, data):
    learned = train(fresh(), *data, LEARNING, seed=0)
    before = measure_errors(learned, data[1]).loss
    epochs = []
    warm = train(learned, *data, LEARNING, seed=1, warm=True, report=lambda e, _: epochs.append(e))
    cold = train(fresh(), *data, LEARNING.model_copy(update={"epochs": 1}), seed=1)
    assert epochs == [1], "a warm start has its own number of epochs"
    assert measure_errors(warm, data[1]).loss < min(1.2 * before, 0.7 * measure_errors(cold, data[1]).loss)


def test_divergence_is_one_clear_line(fresh, data):
    with pytest.raises(InputError, match="training diverged in epoch 1; lower the learning rate"):
        train(fresh(), *data, TrainingSettings(learning_rate=1e30, epochs=2, warmup_steps=0), seed=0)


def test_the_loss_is_the_formula(fresh, data):
    potential, batch = fresh(), data[1].batch([0, 1])
    loss, energy_error, force_error = loss_of(potential, batch, SETTINGS, create_graph=False)
    expected = 10.0 * ((energy_error / 22) ** 2).mean() + 0.5 * (force_error**2).mean()
    assert loss.item() == pytest.approx(expected.item())
    errors = measure_errors(potential, data[1])
    _, energy_error, force_error = loss_of(potential, data[1].batch(range(4)), SETTINGS, create_graph=False)
    assert errors.energy_mae == pytest.approx(energy_error.abs().mean().item(), rel=1e-6)
    assert errors.force_mae == pytest.approx(force_error.abs().mean().item(), rel=1e-6)
    assert errors.force_rmse == pytest.approx(force_error.square().mean().sqrt().item(), rel=1e-6)


def test_a_new_potential_starts_from_the_labels(fresh, data, frames):
    potential = fresh()
    assert potential.scale.item() == pytest.approx(np.sqrt(np.mean([s.forces**2 for s in frames[:8]])), rel=1e-6)
    assert potential.offsets.dtype == torch.float64
    offsets = dict(zip(potential.elements, potential.offsets.tolist(), strict=True))
    mean = np.mean([s.energy for s in frames[:8]])
    assert sum(offsets[int(z)] for z in frames[0].numbers) == pytest.approx(mean, abs=1e-9)


def test_settings_are_strict():
    for bad in ({"epoch": 3}, {"epochs": 0}, {"learning_rate": -1.0}, {"ema_decay": 1.0}):
        with pytest.raises(ValidationError):
            TrainingSettings(**bad)


@pytest.mark.parametrize(("wanted", "given", "expected"), [(None, 64, 4), (None, 1, 1), (2, 1, 2)])
def test_threads_are_chosen_for_training_and_given_back(fresh, data, monkeypatch, wanted, given, expected):
    counts = [given]
    monkeypatch.setattr(torch, "get_num_threads", lambda: counts[-1])
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    settings = SETTINGS.model_copy(update={"epochs": 1, "threads": wanted})
    during = []
    train(fresh(), *data, settings, seed=0, report=lambda *_: during.append(counts[-1]))
    assert during == [expected] and counts[-1] == given


def test_each_generation_has_its_weight_of_energies_and_later_ones_the_last():
    settings = TrainingSettings(energy_weights=(1.0, 20.0))
    assert [settings.of_generation(number).energy_weight for number in range(4)] == [1.0, 20.0, 20.0, 20.0]
    assert settings.of_generation(1) == TrainingSettings(energy_weight=20.0)
    assert TrainingSettings(energy_weight=3.0).of_generation(5) == TrainingSettings(energy_weight=3.0)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        TrainingSettings(energy_weights=(1.0, -1.0))


def test_each_generation_has_its_epochs_and_later_ones_the_last():
    settings = TrainingSettings(generation_epochs=(60, 30, 90), warm_epochs=7)
    assert [n_epochs(settings.of_generation(number), warm=number > 0) for number in range(5)] == [60, 30, 90, 90, 90]
    assert n_epochs(settings.of_generation(0), warm=True) == 7, "of a training by itself, which goes on"
    plain = TrainingSettings(epochs=5, warm_epochs=3)
    assert [n_epochs(plain.of_generation(number), warm=number > 0) for number in range(3)] == [5, 3, 3]
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        TrainingSettings(generation_epochs=(60, 0))
