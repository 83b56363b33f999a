"""What is said of a PLUMED input of the user; and that nothing of the user's is touched."""

import re
from pathlib import Path

import pytest

from uqcv.colvars.export import module_name
from uqcv.doctor.check import Finding, Patient
from uqcv.doctor.registry import PLUMED_FILE
from uqcv.structures import write_structures

METAD = "metad: METAD ARG={arg} SIGMA=0.2 HEIGHT=1 PACE=50 FILE={file}\n"


@pytest.fixture
def examine(tmp_path, monkeypatch, bundle, molecule):
    """Examine an input that lies in the user's folder, with the model or without."""
    for name in ("scratch", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "scratch")
    home = tmp_path / "home"
    bundle.save(home / "bundle")
    write_structures(home / "training.extxyz", [molecule])

    def of(text: str, with_bundle: bool = True) -> list[Finding]:
        (home / "plumed.dat").write_text(text)
        model = home / "bundle" if with_bundle else None
        patient = Patient(tmp_path / "scratch", home, model, None, home / "plumed.dat")
        return [check.examine(patient) for check in PLUMED_FILE]

    return of


@pytest.fixture
def head(bundle) -> str:
    return f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={module_name(bundle)}\n"


def test_an_input_of_the_model(examine, head):
    accepted, fusing, _, steps = examine(head + METAD.format(arg="u.py-mean", file="HILLS"))
    assert accepted.ok and accepted.detail.startswith(
        "PLUMED reads its 2 actions; 22 atoms (of the bundle's structure)"
    )
    assert fusing.detail == "fused with the network of the bundle: mean cost no pass of their own"
    assert steps.detail == "steps: metad each 50; a checkpoint keeps only these"


def test_an_input_without_a_model(examine):
    text = "phi: TORSION ATOMS=5,7,9,15\n" + METAD.format(arg="phi", file="HILLS")
    accepted, fusing, *_ = examine(text, with_bundle=False)
    assert accepted.ok and accepted.detail == "PLUMED reads its 2 actions; 15 atoms (as many as it names)"
    assert fusing.ok and "give the bundle too" in fusing.detail
    _, fusing, *_ = examine(text)
    assert fusing.ok and "nothing in it is of this bundle" in fusing.detail


def test_why_an_input_is_not_fused(examine, head):
    _, fusing, *_ = examine(f"{head}UNITS ENERGY=kcal/mol\nRESTRAINT ARG=u.py-mean AT=0 KAPPA=1\n")
    assert fusing.ok and fusing.detail.startswith("not fused (slower, same numbers): the input has UNITS")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("METAD ARG=u.py-mean SIGMA=0.1 HIGHT=1 PACE=5\n", "PLUMED refuses the input: .*METAD"),
        ("d: DISTANCE ATOMS=1,99\nPRINT ARG=d\n", "PLUMED refuses the input: .*99"),
        ("PRINT ARG=u.py-median FILE=C\n", "no component named py-median|u.py-median"),
        ("v: PYCVINTERFACE ATOMS=1-22 IMPORT=nothing\n", "IMPORT=nothing: No module named"),
    ],
)
def test_what_plumed_refuses_is_in_its_words(examine, head, lines, words):
    accepted, *_ = examine(head + lines)
    assert accepted.ok is False and re.search(words, accepted.detail), accepted.detail
    assert accepted.advice == "mend the line that PLUMED names"


def test_atoms_that_are_not_those_of_the_model(examine, head):
    accepted, *_ = examine(head.replace("1-22", "1-21") + "RESTRAINT ARG=u.py-mean AT=0 KAPPA=1\n")
    assert accepted.ok is False and "shape (21, 3) was given; (22, 3) is expected" in accepted.detail


def test_a_cv_of_another_model(examine, head, bundle):
    accepted, *_ = examine(head.replace(bundle.short_hash, "0123456789ab"))
    assert accepted.ok is False
    assert f"it imports uqcv_0123456789ab, but the bundle is {module_name(bundle)}" in accepted.detail
    assert f"write IMPORT={module_name(bundle)}" in accepted.advice


def test_what_no_checkpoint_can_bring_back(examine, head):
    *_, steps = examine(f"RESTART\n{head}" + METAD.format(arg="u.py-mean", file="HILLS"))
    assert steps.ok and "no checkpoint can be kept: RESTART makes PLUMED read files that change" in steps.detail


@pytest.mark.parametrize("restart", ["", "RESTART\n"])
def test_the_files_of_the_user_stay_as_they_are(examine, head, tmp_path, restart):
    home, hills = tmp_path / "home", "#! FIELDS time phi sigma_phi height biasf\n"
    (home / "runs").mkdir()
    (home / "more.dat").write_text(f"PRINT ARG=phi FILE={home}/PRINTED\n")
    files = ["HILLS", f"{home}/HILLS", "runs/HILLS", "../home/COLVAR"] + ([] if restart else ["runs/NEW"])
    kept = [home / name for name in ("HILLS", "COLVAR", "runs/HILLS", "PRINTED")]
    for path in kept:
        path.write_text(hills)
    text = f"{restart}phi: TORSION ATOMS=5,7,9,15\nINCLUDE FILE=more.dat\n" + "".join(
        METAD.format(arg="phi", file=file).replace("metad", f"m{k}") for k, file in enumerate(files)
    )
    before = {path: (path.stat().st_mtime_ns, path.read_text()) for path in kept}
    accepted, _, files, steps = examine(text)
    assert accepted.ok, accepted
    assert {path: (path.stat().st_mtime_ns, path.read_text()) for path in kept} == before
    assert sorted(p.name for p in home.iterdir() if p.is_file()) == [
        "COLVAR", "HILLS", "PRINTED", "more.dat", "plumed.dat", "training.extxyz",
    ]  # fmt: skip
    assert [p.name for p in (home / "runs").iterdir()] == ["HILLS"] and Path("inputs").is_dir() and steps.ok
    assert files.ok and (not restart or "HILLS" in files.detail)


def test_hills_of_another_model(examine, head, tmp_path, bundle):
    home = tmp_path / "home"
    (home / "HILLS").write_text("#! FIELDS time\n")
    said = home / "HILLS.identity.json"
    text = f"RESTART\n{head}" + METAD.format(arg="u.py-mean", file="HILLS")
    for content, is_well, words in (
        (f'{{"collective variable": "{bundle.short_hash}"}}', True, "HILLS: of this input"),
        ('{"collective variable": "0123456789ab"}', False, "HILLS is of collective variable 0123456789ab"),
        (None, False, "HILLS: nothing says which uncertainty it is of"),
    ):
        said.unlink(missing_ok=True) if content is None else said.write_text(content)
        *_, files, _ = examine(text)
        assert (
            files.ok is is_well
            and words in files.detail
            and files.advice == ("" if is_well else "begin anew without them")
        )
    *_, files, _ = examine(text.removeprefix("RESTART\n"))
    assert files.ok and files.detail == "no hills, states or grids are there that it would read"


def test_hills_that_walkers_share(examine, head):
    shared = "WALKERS_N=2 WALKERS_ID=0 WALKERS_DIR=. WALKERS_RSTRIDE=50\n"
    *_, steps = examine(f"{head}" + METAD.format(arg="u.py-mean", file="HILLS").replace("\n", f" {shared}"))
    assert "no checkpoint can be kept: WALKERS_" in steps.detail
