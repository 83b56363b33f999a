"""When PLUMED's memory changes, as read from its input; and that a new PLUMED, told the same, is the same."""

from pathlib import Path

import numpy as np
import pytest
from two_atoms import wandering

from uqcv.errors import BrokenStructureError, InputError, PlumedInputError, UqcvError
from uqcv.simulation.plumed_actions import Action, read_actions
from uqcv.simulation.plumed_memory import plumed_memory

D = "d: DISTANCE ATOMS=1,2\n"
METAD = "METAD ARG=d SIGMA=0.05 HEIGHT=2 PACE=5 BIASFACTOR=7 TEMP=300 FMT=%25.17g"
PRINT = "\nPRINT ARG=* FILE=COLVAR STRIDE=4 FMT=%25.17g\n"
OPES = "OPES_METAD ARG=d PACE=5 BARRIER=20 TEMP=300 FMT=%25.17g"
INPUTS = {
    "metad": D + METAD + PRINT,
    "metad on a grid": D + METAD + " GRID_MIN=-1 GRID_MAX=3 GRID_BIN=300" + PRINT,
    "metad of adaptive width": D + METAD.replace("SIGMA=0.05", "SIGMA=10 ADAPTIVE=DIFF SIGMA_MIN=0.01") + PRINT,
    "accelerated metad": D + METAD + " ACCELERATION" + PRINT,
    "opes": D + OPES + " SIGMA=0.05" + PRINT,
    "opes of adaptive width": D + OPES + " ADAPTIVE_SIGMA_STRIDE=10" + PRINT,
    "opes explore": D + OPES.replace("METAD", "METAD_EXPLORE") + " SIGMA=0.05" + PRINT,
    "extended lagrangian": D
    + "e: EXTENDED_LAGRANGIAN ARG=d KAPPA=1000 TAU=0.05 FRICTION=10 TEMP=300\n"
    + METAD.replace("ARG=d", "ARG=e.d_fict")
    + PRINT,
    "moving restraint": D + "MOVINGRESTRAINT ARG=d STEP0=0 AT0=0.3 KAPPA0=10 STEP1=40 AT1=0.5" + PRINT,
}
EVERY_STEP = {"metad of adaptive width", "accelerated metad", "opes of adaptive width", "extended lagrangian"}
EVERY_STEP |= {"moving restraint"}
N_STEPS = 43


TRAJECTORY = wandering(N_STEPS)


def drive(bridge, steps) -> list[tuple]:
    told = [bridge.evaluate(step, TRAJECTORY[step]) for step in steps]
    return [(bias, forces.tolist()) for bias, forces in told]


def written() -> dict[str, str]:
    return {p.name: p.read_text() for p in Path().glob("*[A-Z]") if not p.name.startswith("bck.")}


@pytest.fixture
def uninterrupted(make_bridge, tmp_path, monkeypatch):
    """What a bridge says and PLUMED writes for the whole trajectory, by input."""

    def run(text: str) -> tuple[list, dict[str, str]]:
        folder = tmp_path / "whole"
        folder.mkdir()
        monkeypatch.chdir(folder)
        bridge = make_bridge(text, 2)
        said = drive(bridge, range(N_STEPS))
        bridge.close()
        files = written()
        monkeypatch.chdir(tmp_path)
        return said, files

    return run


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("cut", [1, 17, 20, 36])
def test_told_again_plumed_is_the_same(name, cut, uninterrupted, make_bridge):
    said, files = uninterrupted(INPUTS[name])
    first = make_bridge(INPUTS[name], 2)
    first.keep_diary(Path("diary"))
    drive(first, range(cut))
    mark = first.mark(cut)
    drive(first, range(cut, cut + 6))  # what a killed run did after its checkpoint
    first.close()

    second = make_bridge(INPUTS[name], 2)
    second.keep_diary(Path("diary"), mark)
    assert drive(second, range(cut, N_STEPS)) == said[cut:]
    second.close()
    assert "COLVAR" in files and written() == files


@pytest.mark.parametrize("name", INPUTS)
def test_only_steps_that_matter_are_in_the_diary(name, make_bridge):
    bridge = make_bridge(INPUTS[name], 2)
    bridge.keep_diary(Path("diary"))
    drive(bridge, range(N_STEPS))
    bridge.close()
    record = 8 * (1 + 6 + 9)
    expected = N_STEPS if name in EVERY_STEP else len([s for s in range(N_STEPS) if s % 5 == 0 or s % 4 == 0])
    assert Path("diary").stat().st_size == expected * record


def test_a_diary_of_another_content_is_refused(make_bridge):
    text = INPUTS["metad"]
    first = make_bridge(text, 2)
    first.keep_diary(Path("diary"))
    drive(first, range(12))
    mark = first.mark(12)
    first.close()
    content = bytearray(Path("diary").read_bytes())
    for damaged in (content[:-1], bytes([content[0] ^ 1]) + content[1:], b""):
        Path("diary").write_bytes(damaged)
        with pytest.raises(InputError, match="not what the checkpoint beside it counts on"):
            make_bridge(text, 2).keep_diary(Path("diary"), mark)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda text: f"RESTART\n{text}", "RESTART"),
        (lambda text: text.replace("PACE=5", "PACE=5 RESTART=YES"), "RESTART=YES"),
        (lambda text: text.replace("PACE=5", "PACE=5 WALKERS_N=2 WALKERS_ID=0 WALKERS_DIR=."), "WALKERS_DIR"),
    ],
)
def test_what_reads_files_that_change_keeps_no_diary(change, named, make_bridge):
    first = make_bridge(INPUTS["metad"], 2)
    drive(first, range(8))
    first.close()  # its HILLS is what a RESTART reads
    with pytest.raises(PlumedInputError, match=f"the input has {named}: .* use no checkpoint"):
        make_bridge(change(INPUTS["metad"]), 2).keep_diary(Path("diary"))


def test_no_restart_is_no_restart():
    assert plumed_memory("RESTART NO\nPRINT ARG=d RESTART=AUTO").foreign is None


def test_a_diary_begins_with_the_first_step(make_bridge):
    bridge = make_bridge(INPUTS["metad"], 2)
    with pytest.raises(UqcvError, match="no diary"):
        bridge.mark(0)
    drive(bridge, range(3))
    with pytest.raises(UqcvError, match="step 1 is done already"):
        bridge.keep_diary(Path("diary"))


def test_no_hill_where_the_judge_finds_fault(make_bridge):
    bridge = make_bridge(INPUTS["metad"], 2)
    asked = []

    def judge(positions, box):
        asked.append(positions.copy())
        return "bond broken" if len(asked) > 2 else None

    bridge.judge = judge
    drive(bridge, range(11))
    with pytest.raises(BrokenStructureError, match="step 10: bond broken"):
        bridge.evaluate(11, TRAJECTORY[11])
    bridge.close()
    np.testing.assert_array_equal(asked, TRAJECTORY[[0, 5, 10]])
    assert len(np.loadtxt("HILLS", ndmin=2)) == 1


def test_there_is_no_way_back(make_bridge):
    bridge = make_bridge(INPUTS["metad"], 2)
    drive(bridge, range(8))
    with pytest.raises(UqcvError, match="step 3 was asked for after step 7"):
        bridge.evaluate(3, TRAJECTORY[3])
    bridge.commit()
    hills = bridge.evaluate(7, TRAJECTORY[7])
    assert bridge.evaluate(7, TRAJECTORY[7]) == hills
    bridge.close()
    assert len(np.loadtxt("COLVAR")) == 2


def test_actions_are_read_as_plumed_reads_them():
    text = """# comment
d: DISTANCE ATOMS=1,2 NOPBC # more
METAD ...
  LABEL=m ARG=d   PACE=10
  SIGMA=0.1 HEIGHT=1
... METAD
c: CUSTOM ARG=d FUNC={x + 1} PERIODIC=NO
ENDPLUMED
PRINT ARG=d
"""
    assert read_actions(text) == [
        Action("DISTANCE", "d", {"ATOMS": "1,2"}, frozenset({"NOPBC"})),
        Action("METAD", "m", {"LABEL": "m", "ARG": "d", "PACE": "10", "SIGMA": "0.1", "HEIGHT": "1"}, frozenset()),
        Action("CUSTOM", "c", {"ARG": "d", "FUNC": "{x + 1}", "PERIODIC": "NO"}, frozenset()),
    ]


@pytest.mark.parametrize(
    ("text", "strides"),
    [
        ("d: DISTANCE ATOMS=1,2\nRESTRAINT ARG=d AT=1 KAPPA=1", set()),
        ("PRINT ARG=d", {1}),
        ("PRINT ARG=d STRIDE=7", {7}),
        ("METAD ARG=d SIGMA=1 HEIGHT=1 PACE=5 NLIST", None),
        ("c: COORDINATION GROUPA=1 GROUPB=2 R_0=1", None),
        ("INCLUDE FILE=other.dat", None),
        ("METAD ARG=d SIGMA=1 HEIGHT=1 PACE=soon", None),
    ],
)
def test_strides(text, strides):
    assert plumed_memory(text).strides == strides
