"""Which of our CVs an input uses, and that what it does not use is not differentiated."""

import numpy as np
import pytest

from uqcv.colvars.export import export, module_name
from uqcv.colvars.uncertainty_cv import Evaluation
from uqcv.simulation.exported_cvs import component_reference, exported_cvs, want_components
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.simulation.plumed_input import import_modules

OFFERED = {"mean", "smooth-max", "error"}


@pytest.fixture
def text_with(tmp_path, monkeypatch, bundle):
    """Return an input with our CV as `u` and more lines; its module is fresh."""
    monkeypatch.chdir(tmp_path)
    export(bundle, tmp_path / "cv", components=("mean", "smooth_max"))

    def of(lines: str) -> str:
        text = f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={module_name(bundle)}\n{lines}\n"
        import_modules(text, tmp_path / "cv")
        return text

    return of


def wanted(text: str) -> set[str] | None:
    want_components(text)
    (found,) = exported_cvs(text)
    return found.pycv._wanted.get(found.label)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("PRINT ARG=u.py-mean FILE=COLVAR", {"mean"}),
        ("METAD ARG=u.py-smooth-max SIGMA=1 HEIGHT=1 PACE=9 FILE=H\nPRINT ARG=u.py-error", {"smooth-max", "error"}),
        ("m: METAD ARG=u.py-mean SIGMA=1 HEIGHT=1 PACE=9 FILE=H\nPRINT ARG=m.bias,u.py-mean", {"mean"}),
        ("PRINT ARG=au.py-mean", set()),
        ("# PRINT ARG=u.py-mean", set()),
    ],
)
def test_components_are_found_by_their_names(text_with, lines, expected):
    assert wanted(text_with(lines)) == expected


@pytest.mark.parametrize("lines", ["PRINT ARG=*", "PRINT ARG=u.*", r"PRINT ARG=(u\.py.*)", "INCLUDE FILE=more.dat"])
def test_where_names_may_hide_all_components_are_served(text_with, lines):
    assert wanted(text_with(lines)) is None


def test_two_inputs_with_one_label_are_both_served(text_with):
    text = text_with("PRINT ARG=u.py-mean")
    assert wanted(text) == {"mean"}
    assert wanted(text.replace("py-mean", "py-error")) == {"mean", "error"}


def test_a_name_made_from_a_component_counts():
    assert component_reference("u").findall("METAD ARG=ext.u.py-mean_fict,v.u.py-error") == ["mean", "error"]
    assert component_reference("u").findall("ARG=au.py-mean,a-u.py-mean") == []


def test_only_what_is_biased_costs_a_backward_pass(text_with, molecule, monkeypatch):
    counted = []
    original = Evaluation._differentiate
    monkeypatch.setattr(Evaluation, "_differentiate", lambda self, w: counted.append(w) or original(self, w))
    lines = "RESTRAINT ARG=u.py-smooth-max AT=0 KAPPA=100\nPRINT ARG=* FILE=ALL FMT=%25.17g"

    def forces(lines: str, shift: float) -> np.ndarray:
        """At a place of its own, where nothing has been evaluated yet."""
        bridge = PlumedBridge(text_with(lines), molecule.masses, 5e-4, 300.0)
        result = bridge.evaluate(0, 0.1 * molecule.positions + shift)[1].copy()
        bridge.close()
        return result

    everything, n_everything = forces(lines, 1.0), len(counted)
    few, n_few = forces(lines.partition("\n")[0], 2.0), len(counted) - n_everything
    np.testing.assert_allclose(few, everything, atol=1e-8)
    assert (n_everything, n_few) == (2, 1), "mean and its calibration share a pass"
    assert np.isfinite(few).all() and np.abs(few).max() > 1
