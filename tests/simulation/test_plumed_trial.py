"""Inputs that PLUMED reads before there is a model."""

from pathlib import Path

import pytest

from uqcv.errors import PlumedInputError
from uqcv.simulation.plumed_trial import TRIAL_MODULE, _without_model, try_input

CV = f"u: PYCVINTERFACE ATOMS=1-4 IMPORT={TRIAL_MODULE}\n"
METAD = "m: METAD ARG=u.py-smooth-max SIGMA=1 HEIGHT=1 PACE=5\nPRINT ARG=u.py-mean,m.bias FILE=COLVAR\n"


def test_the_model_becomes_numbers():
    text, names = _without_model(f"{CV}{METAD}")
    assert names == ("u_mean", "u_smooth_max")
    assert text.splitlines()[:2] == ["u_mean: EXTRACV NAME=u_mean", "u_smooth_max: EXTRACV NAME=u_smooth_max"]
    assert "ARG=u_smooth_max SIGMA=1" in text and "PYCV" not in text


@pytest.mark.parametrize(
    "text",
    [
        CV + METAD,
        "u: PYCVINTERFACE ...\n  ATOMS=1-4\n  IMPORT=" + TRIAL_MODULE + "\n... PYCVINTERFACE\n" + METAD,
        "d: DISTANCE ATOMS=1,2\nUPPER_WALLS ARG=d AT=1 KAPPA=2\n",
        f"RESTART\n{CV}METAD ARG=u.py-mean SIGMA=1 HEIGHT=1 PACE=5 WALKERS_N=3 WALKERS_ID=0 WALKERS_DIR=bias",
    ],
)
def test_good_inputs_leave_nothing_behind(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try_input(text, 4, 300.0, 0.001)
    assert list(tmp_path.iterdir()) == [] and Path.cwd() == tmp_path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CV + METAD.replace("HEIGHT", "HIGHT"), "METAD"),
        (CV + METAD.replace("u.py-mean", "v.py-mean"), "cannot find action named v"),
        ("d: DISTANCE ATOMS=1,5\nPRINT ARG=d", "5"),
        ("SOMETHING ELSE", "SOMETHING"),
    ],
)
def test_what_plumed_refuses(text, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlumedInputError, match=f"PLUMED refuses the input: .*{words}"):
        try_input(text, 4, 300.0, 0.001)


@pytest.mark.parametrize(
    "lines", ["FILE={}/HILLS", "FILE=HILLS WALKERS_N=2 WALKERS_ID=0 WALKERS_DIR={} WALKERS_RSTRIDE=5"]
)
def test_files_elsewhere_are_not_touched(lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "HILLS").write_text("mine")
    try_input(f"RESTART\n{CV}METAD ARG=u.py-mean SIGMA=1 HEIGHT=1 PACE=5 {lines.format(tmp_path)}", 4, 300.0, 0.001)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("HILLS", "mine")]


def test_names_that_are_not_spelt_are_not_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try_input(f"{CV}PRINT ARG=u.* FILE=COLVAR", 4, 300.0, 0.001)
