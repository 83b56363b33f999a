"""A compiled step gives the loss and the gradients of an eager one, for any weights and any batch of its shape."""

import numpy as np
import pytest
import torch

from uqcv.potentials import compiled_step, cores
from uqcv.potentials.compiled_step import CompiledStep
from uqcv.potentials.dataset import Batch, Dataset
from uqcv.potentials.links import CompleteLinks, ListedLinks
from uqcv.potentials.loss import loss_of
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train

SETTINGS = TrainingSettings(epochs=3, batch_size=3, energy_weight=7.0, force_weight=0.4, dtype="float64")
CUTOFF = 4.0


@pytest.fixture
def only_recorded(monkeypatch):
    """Run what was recorded as it is: the same operations, without a minute of compiling."""
    monkeypatch.setattr(compiled_step, "compiled_or_eager", lambda function: function)
    monkeypatch.setattr(compiled_step, "_functions", {})


@pytest.fixture(scope="module")
def data(frames) -> Dataset:
    return Dataset(frames[:11], CUTOFF, torch.float64)


@pytest.fixture
def fresh(make_potential, data):
    def make(seed: int = 0) -> Potential:
        return new_potential(data, make_potential(seed=seed))

    return make


def eager(potential: Potential, batch: Batch) -> tuple[float, list[np.ndarray]]:
    loss, _, _ = loss_of(potential, batch, SETTINGS, create_graph=True)
    gradients = torch.autograd.grad(loss, list(potential.parameters()), materialize_grads=True)
    return loss.item(), [g.numpy() for g in gradients]


def assert_same(step: CompiledStep, potential: Potential, batch: Batch) -> None:
    loss, gradients = eager(potential, batch)
    assert step(batch).item() == pytest.approx(loss, rel=1e-10)
    for parameter, expected in zip(potential.parameters(), gradients, strict=True):
        size = np.abs(expected).max()
        np.testing.assert_allclose(parameter.grad, expected, atol=1e-9 * size + 1e-14)
        assert parameter.grad.is_contiguous() and parameter.is_contiguous()
    assert max(np.abs(g).max() for g in gradients) > 0


def test_recorded_is_eager(only_recorded, fresh, data):
    potential = fresh()
    step = CompiledStep(potential, data.batch([0, 1, 2]), SETTINGS)
    for members in ([0, 1, 2], [3, 9, 4]):
        assert_same(step, potential, data.batch(members))
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.mul_(1.3)
    potential.scale.mul_(2.0)
    potential.offsets.add_(1.0)
    assert_same(step, potential, data.batch([5, 6, 7]))


def test_compiled_is_eager_and_serves_another_potential(fresh, data, monkeypatch):
    monkeypatch.setattr(compiled_step, "_functions", {})
    batch = data.batch([0, 1, 2])
    for seed in (0, 1):
        potential = fresh(seed)
        assert_same(CompiledStep(potential, batch, SETTINGS), potential, data.batch([2 + seed, 7, 5]))
    assert len(compiled_step._functions) == 1


def test_other_weights_of_the_loss_are_another_function(only_recorded, fresh, data):
    potential, batch = fresh(), data.batch([0, 1, 2])
    CompiledStep(potential, batch, SETTINGS)
    other = SETTINGS.model_copy(update={"energy_weight": 0.0})
    step = CompiledStep(potential, batch, other)
    assert len(compiled_step._functions) == 2
    expected, _, _ = loss_of(potential, batch, other, create_graph=False)
    assert step(batch).item() == pytest.approx(expected.item(), rel=1e-10)


def test_a_batch_of_another_shape_does_not_fit(only_recorded, fresh, data):
    step = CompiledStep(fresh(), data.batch([0, 1, 2]), SETTINGS)
    assert step.fits(data.batch([4, 5, 6])) and not step.fits(data.batch([4, 5]))


def trained(fresh, data, settings: TrainingSettings, **options) -> Potential:
    return train(fresh(), data, data, settings, seed=0, **options)


def difference(one: Potential, other: Potential) -> float:
    return max(
        float((a - b).abs().max()) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_training_gives_the_same_potential(only_recorded, fresh, data):
    """Eleven frames in batches of three: the last batch of an epoch is smaller and runs eagerly."""
    yes, no = (SETTINGS.model_copy(update={"compiled": c}) for c in (True, False))
    assert difference(trained(fresh, data, yes), trained(fresh, data, no)) < 1e-9
    assert len(compiled_step._functions) == 1


def test_a_stopped_training_goes_on_to_the_same_weights(only_recorded, fresh, data, tmp_path):
    settings = SETTINGS.model_copy(update={"compiled": True})

    def stop(epoch: int, line: str) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(fresh, data, settings, checkpoint=tmp_path / "checkpoint", report=stop)
    again = trained(fresh, data, settings, checkpoint=tmp_path / "checkpoint")
    assert difference(again, trained(fresh, data, settings)) == 0


@pytest.mark.parametrize(("worth", "expected"), [(33, 1), (34, 0)])
def test_auto_compiles_what_pays_off(only_recorded, fresh, data, monkeypatch, worth, expected):
    monkeypatch.setattr(cores, "WORTH_STARTING", worth)
    trained(fresh, data, SETTINGS)
    assert len(compiled_step._functions) == expected


def test_crystals_are_trained_eagerly(only_recorded, make_potential, crystals):
    data = Dataset(crystals[:4], CUTOFF, torch.float64)
    settings = SETTINGS.model_copy(update={"compiled": True})
    train(new_potential(data, make_potential((29, 79))), data, data, settings, seed=0)
    assert compiled_step._functions == {}


def test_small_molecules_of_one_size_have_complete_links(frames, crystals, data):
    assert isinstance(data.batch([0, 1]).graph.links, CompleteLinks)
    assert isinstance(Dataset(crystals[:2], CUTOFF).batch([0, 1]).graph.links, ListedLinks)
