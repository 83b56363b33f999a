"""Where grids end: PLUMED's forces are wrong there, at first without a word; ours says so, with the step."""

import numpy as np
import pytest

from uqcv.errors import UqcvError
from uqcv.simulation.plumed_actions import read_actions
from uqcv.simulation.plumed_grids import GridAxis, outside, watched

GRID = "d: DISTANCE ATOMS=1,2\nm: METAD ARG=d SIGMA=0.1 HEIGHT=1 PACE=1"


def apart(distance: float) -> np.ndarray:
    return np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        ("METAD ARG=d GRID_MIN=0 GRID_MAX=1.5", [GridAxis("METAD", "d", 0, 1.5)]),
        ("m: METAD ARG=d,e GRID_MIN=0,-pi GRID_MAX=2,pi", [GridAxis("m", "d", 0, 2)]),
        ("METAD ARG=d,e GRID_MIN=0 GRID_MAX=1", []),
        ("METAD ARG=d", []),
        ("HISTOGRAM ARG=d GRID_MIN=0 GRID_MAX=1", []),
        ("METAD ARG=(d.*) GRID_MIN=0,1 GRID_MAX=1,2", []),
    ],
)
def test_axes_of_an_input(text, axes):
    changed, found = watched(text)
    assert found == axes
    if not axes:
        assert changed == text
    names = [action.name for action in read_actions(changed)]
    assert names[:-1] == ["GET"] * len(axes), "values are handed over before the grid is looked up"


@pytest.mark.parametrize(("value", "is_outside"), [(0.0, False), (1.0, False), (1.01, True), (-1e-9, True)])
def test_both_ends_belong_to_the_grid(value, is_outside):
    assert (outside([GridAxis("m", "d", 0.0, 1.0)], [value]) is not None) is is_outside
    assert outside([GridAxis("m", "d", 0.0, 1.0)], [np.nan]) is None


def test_a_value_that_leaves_the_grid_is_named_with_its_step(make_bridge):
    bridge = make_bridge(f"{GRID} GRID_MIN=0 GRID_MAX=1 GRID_BIN=100\n", 2)
    for step, distance in enumerate((0.3, 0.9, 1.0)):
        bridge.evaluate(step, apart(distance))
    words = r"step 3: d = 1.004 is outside the grid of m \(0 to 1\).*widen GRID_MIN and GRID_MAX"
    with pytest.raises(UqcvError, match=words):
        bridge.evaluate(3, apart(1.004))


def test_the_first_structure_outside_is_refused(make_bridge, tmp_path):
    bridge = make_bridge(f"{GRID} GRID_MIN=0 GRID_MAX=0.2 GRID_BIN=100\n", 2)
    with pytest.raises(UqcvError, match=r"step 0: d = 0.5 is outside the grid of m"):
        bridge.evaluate(0, apart(0.5))
    bridge.close()
    assert "0.5" not in (tmp_path / "HILLS").read_text()


def test_the_bias_is_the_same_as_without_watching(make_bridge, tmp_path):
    """With the same input as PLUMED alone reads it."""
    text = f"{GRID} GRID_MIN=0 GRID_MAX=2 GRID_BIN=400\nPRINT ARG=m.bias FILE=COLVAR FMT=%25.17g\n"
    watching, blind = make_bridge(text, 2), make_bridge(text.replace("GRID_MAX=2", "GRID_MAX=2*pi/pi"), 2)
    for step, distance in enumerate(np.linspace(0.3, 1.5, 30)):
        one, other = (bridge.evaluate(step, apart(distance)) for bridge in (watching, blind))
        assert one[0] == pytest.approx(other[0], abs=1e-12)
        np.testing.assert_allclose(one[1], other[1], atol=1e-10)
