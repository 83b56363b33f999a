"""What a campaign cannot do is said at once, and nothing is computed or written before."""

import pytest

from uqcv.active_learning.beginning import backbone_or_named, beginning
from uqcv.active_learning.reference_data import prepare
from uqcv.active_learning.state import CampaignFolder
from uqcv.errors import InputError
from uqcv.simulation.topology import read_topology

PHI = (4, 6, 8, 14)
WATER = """\
HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O
HETATM    2  H1  HOH A   1       0.957   0.000   0.000  1.00  0.00           H
HETATM    3  H2  HOH A   1      -0.240   0.927   0.000  1.00  0.00           H
END
"""
BOX = "CRYST1   30.000   30.000   30.000  90.00  90.00  90.00 P 1           1\n"


@pytest.fixture
def water(make_config, tmp_path):
    """Settings of a molecule in which no bond turns."""
    (tmp_path / "water.pdb").write_text(WATER)
    system = {"system.topology": str(tmp_path / "water.pdb"), "system.torsions": None, "system.free_energy": None}
    method = {"reference": {"kind": "ase", "calculator": "ase.calculators.lj.LennardJones"}}
    return lambda changes: make_config(system | method | {"test.ramachandran_grid": None} | changes)


@pytest.fixture
def boxed(make_config, tmp_path, topology_path):
    """Settings of alanine dipeptide in a periodic cell."""
    (tmp_path / "boxed.pdb").write_text(BOX + topology_path.read_text())
    return lambda changes: make_config({"system.topology": str(tmp_path / "boxed.pdb")} | changes)


def test_what_the_settings_name(make_config, force_field, water, boxed):
    begun = beginning(make_config())
    assert begun.torsions["phi"] == PHI
    assert begun.start.numbers.tolist() == force_field.structure.numbers.tolist()
    for kind in ("auto", "distances", "features"):
        beginning(water({"harvest.descriptor": kind}))
    for kind in ("auto", "features"):
        assert beginning(boxed({"harvest.descriptor": kind})).start.is_periodic


@pytest.mark.parametrize("name", ["random", "adversarial"])
def test_nothing_turns(water, tmp_path, name):
    folder = CampaignFolder(tmp_path / "campaign")
    with pytest.raises(InputError, match=rf"water\.pdb: no bond that turns; give sampling\.sampler={name}_atoms"):
        prepare(water({"sampling.sampler": f"{name}_torsions"}), folder)
    assert not folder.path.exists(), "nothing is written before all is known to be possible"
    beginning(water({"sampling.sampler": f"{name}_atoms"}))


def test_nothing_to_describe_by(water, boxed, tmp_path):
    folder = CampaignFolder(tmp_path / "campaign")
    words = r"harvest\.descriptor=torsions was given, but the topology has no bonds with torsions; give features"
    with pytest.raises(InputError, match=words):
        prepare(water({"harvest.descriptor": "torsions"}), folder)
    for kind in ("torsions", "distances"):
        with pytest.raises(InputError, match=rf"harvest\.descriptor={kind} was given, but the cell is periodic"):
            prepare(boxed({"harvest.descriptor": kind}), folder)
    assert not folder.path.exists()


def test_torsions_by_name(make_config, topology_path):
    topology = read_topology(topology_path)
    config = make_config({"system.torsions": {"a": [0, 1, 2, 3]}})
    assert backbone_or_named(config, topology) == {"a": (0, 1, 2, 3)}
    assert backbone_or_named(make_config({"system.torsions": None}), topology) == {}
