import numpy as np
import pytest

from uqcv.errors import InputError, LabelingError
from uqcv.labeling.ase_calculator import ASECalculatorMethod
from uqcv.labeling.reference import ReferenceMethod
from uqcv.labeling.reference_md import sample_reference
from uqcv.simulation.torsions import backbone_torsions, torsion_angle
from uqcv.structures import Structure
from uqcv.units import BOLTZMANN


def run(method, start, seed=1, n_frames=4, **options):
    return sample_reference(method, start, n_frames, 300.0, spacing=10.0, seed=seed, **options)


def test_frames_carry_the_labels_of_the_method(alanine):
    for frame in run(alanine, alanine.structure):
        expected = alanine.label(frame)
        assert frame.energy == pytest.approx(expected.energy)
        assert frame.forces == pytest.approx(expected.forces)


def test_the_seed_decides(alanine):
    first, again, other = (run(alanine, alanine.structure, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(first, again, strict=True))
    assert not np.allclose(first[-1].positions, other[-1].positions)


def test_equilibration_comes_before_the_frames(alanine):
    frames = run(alanine, alanine.structure)
    late = run(alanine, alanine.structure, n_frames=1, equilibration=25.0)
    assert np.array_equal(late[0].positions, frames[3].positions)


def test_it_samples_the_temperature(springs):
    # for springs of 1 eV/Å^2, <E> = 3N kT / 2; 200 light atoms leave a deviation of 4 % per frame
    start = Structure(np.ones(200, int), np.zeros((200, 3)))
    frames = sample_reference(
        springs, start, 30, 100.0, spacing=20.0, time_step=1.0, friction=0.05, equilibration=200.0, seed=1
    )
    mean = np.mean([frame.energy for frame in frames])
    assert mean == pytest.approx(1.5 * 200 * BOLTZMANN * 100.0, rel=0.06)


def test_any_method_will_do(copper):
    frames = run(ASECalculatorMethod("ase.calculators.emt.EMT"), copper)
    assert len(frames) == 4 and all(frame.is_labelled for frame in frames)


def test_a_run_that_leaves_is_taken_back(alanine):
    phi = backbone_torsions(alanine.topology)["phi"]
    edge = torsion_angle(alanine.structure.positions, phi) + 1.0
    asked = []

    def accept(structure):
        asked.append(torsion_angle(structure.positions, phi) < edge)
        return asked[-1]

    frames = run(alanine, alanine.structure, accept=accept)
    assert not all(asked) and len(frames) == 4
    assert all(torsion_angle(frame.positions, phi) < edge for frame in frames)


def test_a_run_that_always_leaves_ends(springs, copper):
    first = iter([True])
    with pytest.raises(LabelingError, match="100 times in a row"):
        run(springs, copper, accept=lambda s: next(first, False))


@pytest.mark.parametrize(("time_step", "temperature"), [(50.0, 300.0), (10.0, 300.0), (0.5, 1e5)])
@pytest.mark.parametrize("accept", [None, lambda s: True])
def test_dynamics_that_is_unstable_is_refused(alanine, time_step, temperature, accept):
    with pytest.raises(
        LabelingError, match=r"dynamics is unstable: .*shorten initial\.time_step .* initial\.temperature"
    ):
        sample_reference(alanine, alanine.structure, 4, temperature, 50.0, time_step=time_step, seed=1, accept=accept)


def test_dynamics_that_ends_at_no_number_is_unstable(copper):
    energies = iter([0.0, 0.0, 0.0])

    class Exploding(ReferenceMethod):
        name = "exploding"

        def energy_and_forces(self, structure):
            return next(energies, np.nan), np.zeros((len(structure), 3))

    with pytest.raises(LabelingError, match="dynamics is unstable: positions or an energy that are not finite"):
        run(Exploding(), copper)


def test_a_hot_molecule_is_not_unstable(alanine):
    assert len(sample_reference(alanine, alanine.structure, 20, 1000.0, 20.0, seed=1)) == 20


def test_progress_counts_frames(springs, copper):
    done = []
    run(springs, copper, equilibration=40.0, report=done.append)
    assert done == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0])


def test_bad_inputs_are_refused(springs, copper):
    with pytest.raises(InputError, match="not accepted"):
        run(springs, copper, accept=lambda s: False)
    with pytest.raises(InputError, match="spacing"):
        sample_reference(springs, copper, 1, 300.0, spacing=0.1)
    with pytest.raises(InputError, match="positive"):
        sample_reference(springs, copper, 0, 300.0, spacing=1.0)


def test_a_failing_method_ends_the_run(springs, copper):
    with pytest.raises(LabelingError, match="too far"):
        run(springs, copper.with_positions(copper.positions + 8.0))
