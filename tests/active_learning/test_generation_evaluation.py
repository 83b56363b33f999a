"""Coverage label by label: of initial frames and labels that are kept, whatever becomes of them."""

import numpy as np
import pytest

from uqcv.active_learning.evaluation import bins_covered
from uqcv.active_learning.state import CampaignFolder
from uqcv.analysis.ramachandran import coverage, ramachandran_angles
from uqcv.files import write_json
from uqcv.simulation.torsions import backbone_torsions, bond_pairs, turn
from uqcv.structures import write_structures

ANGLES = (-152.0, -98.0, 63.0, 64.0, 110.0, 166.0)  # the second one is in a bin that is not relevant
TOO_HIGH = 4  # the label that is not kept


@pytest.fixture
def torsions(force_field):
    return backbone_torsions(force_field.topology)


@pytest.fixture
def labelled(frames, force_field, torsions):
    """A frame at several values of phi; the energies are made up."""
    bonds = bond_pairs(force_field.topology)
    found = [frames[0].with_positions(turn(frames[0].positions, bonds, torsions["phi"], a)) for a in ANGLES]
    return [s.with_labels(5.0 if k == TOO_HIGH else 0.0, np.zeros((22, 3))) for k, s in enumerate(found)]


@pytest.fixture
def folder(tmp_path, frames, labelled) -> CampaignFolder:
    """Two generations: four labels, then two and one that failed."""
    folder = CampaignFolder(tmp_path)
    write_structures(folder.initial, frames[:3])
    for k, (part, sent) in enumerate(((labelled[:4], 4), (labelled[4:], 3))):
        write_structures(folder.generation(k).labelled, part)
        write_json(folder.generation(k).label_summary, {"sent": sent})
    return folder


def test_bins_are_counted_label_by_label(folder, frames, labelled, torsions):
    free_energy = np.zeros((24, 24))
    free_energy[::5] = 99.0  # not relevant
    kept = [s for k, s in enumerate(labelled) if k != TOO_HIGH]
    angles = ramachandran_angles([*frames[:3], *kept], torsions)
    by_kept = [coverage(angles[: 3 + k], free_energy).n_visited for k in range(len(kept) + 1)]
    assert by_kept[-1] > by_kept[0]
    expected = [*by_kept[:5], by_kept[4], by_kept[5], by_kept[5]]  # the fifth is too high, the last one failed
    assert bins_covered(folder, torsions, free_energy, 1.0, 2) == expected
    assert bins_covered(folder, torsions, free_energy, 1.0, 1) == by_kept[:5]
    assert bins_covered(folder, torsions, free_energy, 1.0, 3) == expected, "a generation that has no labels yet"
    assert bins_covered(folder, torsions, free_energy, 9.0, 2)[5] > by_kept[4]
