import matplotlib
import numpy as np
import pytest

from uqcv.analysis.plots import (
    RamachandranPanel,
    WalkerTrace,
    calibration_figure,
    learning_curve_figure,
    ramachandran_figure,
    training_figure,
    walkers_figure,
)

NONE = np.zeros((0, 2))


def texts(figure) -> str:
    """All words of a figure, drawn."""
    figure.canvas.draw()
    return " | ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def test_every_axis_has_its_unit():
    trace = WalkerTrace("walker 00", np.array([0.0, 2000.0]), np.ones(2), np.ones(2), "completed", True)
    history = {name: np.ones(3) for name in ("epoch", "train_loss", "validation_loss", "force_mae")}
    drawn = {
        "reference free energy (kJ/mol)": ramachandran_figure([RamachandranPanel("g", NONE, NONE)], np.eye(12)),
        "φ (degrees)": ramachandran_figure([RamachandranPanel("g", NONE, NONE)]),
        "force MAE (meV/Å)": learning_curve_figure([80], [0.1], [0.1], [0.5]),
        "calibrated uncertainty (eV/Å)": calibration_figure([0.1, 0.2], [0.05, 0.3]),
        "bias (kJ/mol)": walkers_figure([trace], 0.9),
        "time (ps)": walkers_figure([trace]),
        "loss": training_figure({"generation 0": history}),
    }
    for label, figure in drawn.items():
        assert label in texts(figure)


def test_bias_and_time_are_converted():
    trace = WalkerTrace("w", np.array([500.0]), np.array([1.0]), np.array([1.0]), "running", False)
    above, below = walkers_figure([trace]).axes
    assert below.lines[0].get_xdata() == pytest.approx([0.5])
    assert below.lines[0].get_ydata() == pytest.approx([96.485], abs=1e-3)
    assert not above.collections, "a running walker has no end to mark"


def test_the_share_below_the_line_is_stated():
    words = texts(calibration_figure([1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 2.0], asked=0.9))
    assert "75 % of 4 frames" in words
    assert "(asked: 90 %)" in words


def test_the_map_has_phi_along_x():
    free_energy = np.full((12, 12), 25.0)
    free_energy[2, 9] = 0.0  # phi -105, psi 105
    training = np.array([[-105.0, 105.0]])
    figure = ramachandran_figure([RamachandranPanel("g", training, NONE)], free_energy)
    contours = next(c for c in figure.axes[0].collections if hasattr(c, "levels"))
    lowest = contours.get_paths()[0].vertices.mean(axis=0)
    assert lowest == pytest.approx([-105.0, 105.0], abs=8.0)
    assert figure.axes[0].lines[1].get_xydata().tolist() == [[-105.0, 105.0]]


def test_panels_of_many_generations_share_one_scale():
    figure = ramachandran_figure([RamachandranPanel(f"generation {k}", NONE, NONE) for k in range(6)], np.eye(12))
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]
    assert [t for t in titles if t] == [f"generation {k}" for k in range(6)]


def test_unknown_shares_take_no_room():
    assert len(learning_curve_figure([80, 130], [0.1, 0.05], [np.nan] * 2, [np.nan] * 2).axes) == 1


def test_the_callers_matplotlib_is_left_alone():
    with matplotlib.rc_context({"font.size": 31.0, "text.color": "red"}):
        before = dict(matplotlib.rcParams)
        figure = learning_curve_figure([80], [0.1], [0.1], [0.5])
        assert dict(matplotlib.rcParams) == before
    assert figure.axes[0].yaxis.label.get_size() == 8.0
