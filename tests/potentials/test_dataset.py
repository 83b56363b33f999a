"""Labelled structures as batches; offsets and scale from labels."""

import numpy as np
import pytest
import torch

from uqcv.errors import InputError
from uqcv.potentials.dataset import Dataset, element_offsets, force_scale
from uqcv.structures import Structure


@pytest.fixture(scope="module")
def data(frames) -> Dataset:
    return Dataset(frames[:7], 4.0)


def test_each_structure_comes_once_per_epoch(data):
    for seed in (None, 3):
        energies = torch.cat([b.energies for b in data.batches(3, seed=seed)])
        np.testing.assert_array_equal(energies.sort().values, data.energies.sort().values)
    assert [b.graph.n_structures for b in data.batches(3)] == [3, 3, 1]


def test_the_order_depends_on_the_seed_alone(data):
    def order(seed):
        return [float(e) for b in data.batches(2, seed=seed) for e in b.energies]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(None) == data.energies.tolist()


def test_labels_stay_with_their_structures(data, frames):
    batch = data.batch([4, 0])
    np.testing.assert_array_equal(batch.energies, [frames[4].energy, frames[0].energy])
    np.testing.assert_allclose(batch.forces, np.concatenate([frames[4].forces, frames[0].forces]), rtol=1e-6)
    np.testing.assert_allclose(
        batch.graph.positions, np.concatenate([frames[4].positions, frames[0].positions]), rtol=1e-6
    )
    assert batch.energies.dtype == torch.float64


def test_labels_are_required(frames):
    with pytest.raises(InputError, match="training data, frame 1: no energy and no forces"):
        Dataset([frames[0], frames[1].with_positions(frames[1].positions)], 4.0)
    with pytest.raises(InputError, match="no structures"):
        Dataset([], 4.0)


def test_nan_labels_are_refused(frames):
    s = frames[0]
    with pytest.raises(InputError, match="forces: NaN"):
        Dataset([s.with_labels(s.energy, np.full((22, 3), np.nan))], 4.0)
    with pytest.raises(InputError, match="energy: NaN"):
        Dataset([s.with_labels(float("nan"), s.forces)], 4.0)


def test_the_fingerprint_changes_with_anything(frames, crystals):
    def of(*structures: Structure) -> str:
        return Dataset(structures, 4.0).fingerprint()

    s, c = frames[0], crystals[0]
    shift = np.zeros_like(s.forces)
    shift[3, 1] = 1e-12
    changed = [
        of(frames[1]),
        of(s, frames[1]),
        of(s.with_positions(s.positions + shift).with_labels(s.energy, s.forces)),
        of(s.with_labels(s.energy + 1e-12, s.forces)),
        of(s.with_labels(s.energy, s.forces + shift)),
        of(Structure(s.numbers[::-1], s.positions, energy=s.energy, forces=s.forces)),
        of(c),
        of(Structure(c.numbers, c.positions, c.cell * 1.01, c.pbc, c.energy, c.forces)),
        of(Structure(c.numbers, c.positions, c.cell, [True, True, False], c.energy, c.forces)),
    ]
    assert of(s) == of(s)
    assert len({of(s), *changed}) == len(changed) + 1


def random_molecules(offsets: dict[int, float], n: int = 12) -> list[Structure]:
    random = np.random.default_rng(0)
    made = []
    for _ in range(n):
        numbers = random.choice(list(offsets), size=random.integers(2, 9))
        energy = sum(offsets[int(z)] for z in numbers)
        positions = random.normal(scale=3.0, size=(len(numbers), 3))
        made.append(Structure(numbers, positions, energy=energy, forces=np.ones((len(numbers), 3))))
    return made


def test_known_offsets_are_recovered():
    offsets = {1: -13.6, 6: -1030.2, 7: -1485.3, 8: -2041.8}
    found = element_offsets(random_molecules(offsets), list(offsets))
    np.testing.assert_allclose(found, list(offsets.values()), rtol=1e-10)


def test_one_composition_is_enough_for_its_total(frames):
    shifted = [s.with_labels(s.energy - 9000.0, s.forces) for s in frames[:5]]
    offsets = element_offsets(shifted, [1, 6, 7, 8])
    total = sum(dict(zip((1, 6, 7, 8), offsets, strict=True))[int(z)] for z in frames[0].numbers)
    assert total == pytest.approx(np.mean([s.energy for s in shifted]), abs=1e-8)


def test_the_scale_is_the_size_of_a_force_component(frames):
    expected = np.sqrt(np.mean(np.concatenate([s.forces for s in frames]) ** 2))
    assert force_scale(frames) == pytest.approx(expected)
    still = frames[0].with_labels(0.0, np.zeros((22, 3)))
    assert force_scale([still]) == 1.0
