"""What the figures of a comparison show, and how they are called."""

import numpy as np
import pytest

from uqcv.benchmarks.uq.figures import errors_figure, retention_figure, save_figures
from uqcv.benchmarks.uq.statistics import deviations


@pytest.fixture(scope="module")
def pairs(made_up):
    return {"one": [(made_up(0), made_up(1)), (made_up(0), made_up(2, 140))]}


def test_errors_are_drawn_against_those_that_the_tables_expect(pairs):
    axis = errors_figure(pairs).axes[0]
    drawn = np.sort(axis.lines[0].get_xdata())
    np.testing.assert_allclose(drawn, np.sort(1000 * np.sqrt(3) * deviations(*pairs["one"][0])))


def test_axes_say_what_they_are(pairs):
    assert errors_figure(pairs).get_supxlabel() == "expected force error of an atom (root mean square), meV/Å"
    assert retention_figure(pairs).axes[0].get_ylabel() == "mean norm of force error, meV/Å"


def test_titles_say_test_set_frames_and_seeds(pairs, tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr("matplotlib.figure.Figure.suptitle", lambda self, text, **_: titles.append(text))
    assert len(save_figures(pairs, tmp_path, "a", "hot")) == 3
    assert (
        titles
        == ["tested hot: 150 test frames, seed 0"] + ["tested hot: 140 to 150 test frames, mean over 2 seeds"] * 2
    )
