"""A benchmark that cannot be made is refused before it begins."""

import pytest

from uqcv.cli.benchmark import METHODS
from uqcv.uncertainty import settings


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--atoms", 3), "--atoms 3 was given; 100 or more is expected, or 0 for no crystal"),
        (("--dtype", "float16"), "--dtype float16 was given; float32 or float64 is expected"),
        (("--device", "abacus"), "--device abacus was given; torch cannot use it"),
        (("--atoms", 0, "--molecule", "none.pdb"), "none.pdb: no such PDB"),
        (
            ("--out", "/proc/none/speed.json"),
            "/proc/none/speed.json: nothing can be written in /proc; give",
        ),
        (("--out", "."), ".: a folder was given; a file to write is expected"),
    ],
)
def test_a_benchmark_that_cannot_be(refused, arguments, words, tmp_path):
    assert words in refused("benchmark", "speed", *arguments)
    assert not (tmp_path / "speed.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--molecule", "none.pdb"), "none.pdb: no such PDB"),
        (("--out", "."), ".: a folder was given; a file to write is expected"),
    ],
)
def test_walkers_that_cannot_be_started(refused, arguments, words, tmp_path):
    assert words in refused("benchmark", "walkers", *arguments)
    assert not list(tmp_path.iterdir())


def test_help_lists_the_uncertainties_that_there_are():
    assert METHODS.split(", ") == list(settings.METHODS)


@pytest.mark.parametrize("setting", ["uncertainty.method=mve", "uncertainty={method: mve}"])
def test_a_method_is_no_setting_of_a_comparison(refused, files, setting, tmp_path):
    line = refused("benchmark", "uq", files / "training.extxyz", "-o", "out", "--set", setting)
    assert line == "uqcv: --set uncertainty.method was given; uncertainties to compare are chosen by --only"
    assert not (tmp_path / "out").exists()


def test_a_comparison_in_a_file(refused, files, tmp_path):
    (tmp_path / "out").write_text("")
    line = refused("benchmark", "uq", files / "training.extxyz", "-o", "out")
    assert "out: a file was given; a folder to write is expected" in line
