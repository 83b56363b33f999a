"""Frames in bins: where they are said to be, with the weights that make them canonical."""

import numpy as np
import pytest

from uqcv.analysis.ramachandran import ramachandran_angles
from uqcv.errors import InputError
from uqcv.labeling import map_samples as module
from uqcv.labeling.map_samples import map_samples
from uqcv.simulation.torsions import backbone_torsions


@pytest.fixture(scope="module")
def samples(force_field):
    wanted = np.zeros((6, 6), dtype=bool)
    wanted[1, 3] = wanted[1, 4] = True
    torsions = backbone_torsions(force_field.topology)
    return torsions, map_samples(force_field, torsions, wanted, 4, filling=2e4)


def test_each_bin_has_its_frames(samples, force_field):
    torsions, frames = samples
    bins = np.array([s.info["bin"] for s in frames])
    assert sorted(bins.tolist()) == [9] * 4 + [10] * 4
    angles = ramachandran_angles(frames, torsions)
    assert (np.floor((angles + 180) / 60).astype(int) @ [6, 1] == bins).all()
    assert all(s.energy == pytest.approx(force_field.label(s).energy) for s in frames)
    assert np.ptp([s.info["log_weight"] for s in frames]) > 0  # the bias in units of kT


def test_bins_that_are_never_reached(force_field, monkeypatch):
    monkeypatch.setattr(module, "MOST_SAMPLES", 20)
    wanted = np.ones((6, 6), dtype=bool)
    with pytest.raises(InputError, match="of 36 bins had fewer than 4 visits in 20 samples; give a lower ceiling"):
        map_samples(force_field, backbone_torsions(force_field.topology), wanted, 4, filling=2e4)
