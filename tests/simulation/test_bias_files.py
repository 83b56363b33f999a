"""What the files of a bias are of: read off an input, said beside them, and looked up before they are read again."""

import json
from pathlib import Path

import openmm
import pytest

from uqcv.colvars.export import export, module_name
from uqcv.errors import IdentityError, InputError
from uqcv.labeling.openmm_forcefield import langevin
from uqcv.simulation.bias_files import BiasFiles, identity_file, require_whole
from uqcv.simulation.forces import add_plumed
from uqcv.simulation.plumed_input import import_modules
from uqcv.simulation.plumed_memory import plumed_memory

METAD = "m: METAD ARG=u.py-mean SIGMA=0.3 HEIGHT=1 PACE=2 FILE=HILLS FMT=%25.17g"
PRINT = "PRINT ARG=u.py-mean,m.bias FILE=COLVAR STRIDE=1"


@pytest.mark.parametrize(
    ("text", "written", "read"),  # appended files behind a +
    [
        ("METAD ARG=d", ["HILLS"], []),
        ("METAD ARG=d FILE=a GRID_WFILE=g GRID_RFILE=h", ["a", "g"], ["h"]),
        ("RESTART\nMETAD ARG=d FILE=a\nPRINT ARG=d FILE=b", ["a", "b"], ["a", "+b"]),
        ("RESTART\nMETAD ARG=d FILE=a RESTART=AUTO", ["a"], ["a"]),
        ("PBMETAD ARG=d,e RESTART=YES", ["HILLS.d", "HILLS.e"], ["HILLS.d", "HILLS.e"]),
        ("METAD ARG=d FILE=a\nRESTART\nPRINT ARG=d FILE=b RESTART=NO", ["a", "b"], []),
        ("METAD ARG=d FILE=a RESTART=YES\nPRINT ARG=d FILE=b", ["a", "b"], ["a"]),
        ("RESTART NO\nMETAD ARG=d FILE=a", ["a"], []),
        ("OPES_METAD ARG=d STATE_WFILE=s STATE_RFILE=t", ["KERNELS", "s"], ["t"]),
        ("PBMETAD ARG=d,e FILE=a,b", ["a", "b"], []),
        ("EXTERNAL ARG=d FILE=grid.dat\nMOLINFO STRUCTURE=a.pdb\nINCLUDE FILE=b\nPRINT ARG=d", [], ["grid.dat"]),
        ("RESTART\nMETAD ARG=d WALKERS_N=3 WALKERS_ID=2 WALKERS_DIR=../x FILE=H", ["../x/H.2"], []),
    ],
)
def test_files_of_an_input(text, written, read):
    files = BiasFiles.of(text)
    found = [*map(str, files.read), *(f"+{path}" for path in files.appended)]
    assert (sorted(map(str, files.written)), sorted(found)) == (sorted(written), sorted(read))


def test_files_of_what_is_included(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bias.dat").write_text("METAD ARG=d FILE=a\n")
    files = BiasFiles.of("RESTART\nd: DISTANCE ATOMS=1,2\nINCLUDE FILE=bias.dat\n")
    assert [str(path) for path in files.read] == ["a"]
    assert files.identity["PLUMED input"] == ["d: DISTANCE ATOMS=1,2", "METAD ARG=d"]
    assert plumed_memory("INCLUDE FILE=bias.dat\nMETAD ARG=d PACE=7").paces == {7}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("METAD ARG=d SIGMA=1", "METAD  SIGMA=1 ARG=d # twice", True),
        ("METAD ARG=d SIGMA=1", "RESTART\nMETAD ARG=d SIGMA=1 FILE=x\nPRINT ARG=d", True),
        ("METAD ARG=d SIGMA=1", "METAD ARG=d SIGMA=1 WALKERS_N=2 WALKERS_ID=1", True),
        ("METAD ARG=d SIGMA=1", "METAD ARG=d SIGMA=2", False),
        ("METAD ARG=d SIGMA=1", "METAD ARG=e SIGMA=1", False),
        ("EXTERNAL ARG=d FILE=a", "EXTERNAL ARG=d FILE=b", False),
        ("METAD ARG=d SIGMA=1 GRID_MIN=0 GRID_MAX=1", "METAD ARG=d SIGMA=1 GRID_MIN=0 GRID_MAX=2", True),
        ("METAD ARG=d SIGMA=1", "e: DISTANCE ATOMS=1,2\nMETAD ARG=d SIGMA=1\nPRINT ARG=e", True),
        ("d: DISTANCE ATOMS=1,2\nMETAD ARG=d SIGMA=1", "d: DISTANCE ATOMS=1,3\nMETAD ARG=d SIGMA=1", False),
        (
            "a: DISTANCE ATOMS=1,2\nd: CUSTOM ARG=a FUNC=x PERIODIC=NO\nMETAD ARG=d",
            "a: DISTANCE ATOMS=1,3\nd: CUSTOM ARG=a FUNC=x PERIODIC=NO\nMETAD ARG=d",
            False,
        ),
    ],
)
def test_the_meaning_of_hills(one, other, same):
    assert (BiasFiles.of(one).identity == BiasFiles.of(other).identity) is same


class Run:
    """Alanine dipeptide for some steps under a PLUMED input on the uncertainty."""

    def __init__(self, force_field, bundle, folder: Path) -> None:
        self._force_field, self._folder = force_field, folder
        self.module = module_name(bundle)
        export(bundle, folder, components=("mean", "max"))

    def __call__(self, *lines: str, steps: int = 6) -> None:
        system = self._force_field.create_system()
        cv = f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={self.module}"
        text = "\n".join(sorted([cv, *lines], key=lambda line: line != "RESTART"))  # PLUMED wants it first
        bias = add_plumed(system, self._force_field.topology, text, 300, 0.5, self._folder, Path("plumed.log"))
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, langevin(300, 0.01, 0.5, seed=1), platform)
        context.setPositions(self._force_field.structure.positions * 0.1)
        context.getIntegrator().step(steps)
        bias.close()


@pytest.fixture
def run(force_field, bundle, tmp_path, monkeypatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return Run(force_field, bundle, tmp_path / "cv")


@pytest.fixture
def retrained(force_field, recalibrated, tmp_path) -> Run:
    """The same input on a bundle that was calibrated on other frames."""
    return Run(force_field, recalibrated, tmp_path / "other")


def test_every_file_says_what_it_is_of(run, bundle):
    run(METAD, PRINT)
    for name in ("HILLS", "COLVAR"):
        said = json.loads(identity_file(Path(name)).read_text())
        assert said["collective variable"] == bundle.short_hash
        assert said["PLUMED input"][-1].startswith("m: METAD ARG=u.py-mean ")


def test_a_restart_goes_on_with_its_own(run, read_table):
    run(METAD, PRINT)
    before = len(read_table(Path("HILLS")))
    run("RESTART", METAD, PRINT, "PRINT ARG=u.py-error FILE=MORE")
    assert len(read_table(Path("HILLS"))) > before


@pytest.mark.parametrize("read", ["RESTART", "EXTERNAL", "GRID_RFILE"])
def test_a_bias_of_another_calibration_is_refused(run, retrained, bundle, read):
    run(f"{METAD} GRID_MIN=-20 GRID_MAX=60 GRID_BIN=800 GRID_WFILE=GRID GRID_WSTRIDE=2", PRINT)
    kept = Path("HILLS").read_bytes()
    again = {
        "RESTART": ("RESTART", METAD),
        "EXTERNAL": ("EXTERNAL ARG=u.py-mean FILE=GRID LABEL=e",),
        "GRID_RFILE": (f"{METAD} GRID_MIN=-20 GRID_MAX=60 GRID_BIN=800 GRID_RFILE=GRID",),
    }[read]
    words = f"is of collective variable {bundle.short_hash}, this run has collective variable {retrained.module[5:]}"
    with pytest.raises(IdentityError, match=words):
        retrained(*again)
    assert Path("HILLS").read_bytes() == kept, "nothing was written"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("RESTART", METAD.replace("mean", "max")), "HILLS is of PLUMED input with `m: METAD ARG=u.py-mean .*u.py-max"),
        (("RESTART", METAD.replace("PACE=2", "PACE=4")), "PACE=2.*PACE=4"),
        (("RESTART", "UPPER_WALLS ARG=u.py-mean AT=5 KAPPA=1", METAD), "without it, .* with `UPPER_WALLS ARG"),
    ],
)
def test_a_bias_of_another_pooling_or_input_is_refused(run, lines, words):
    run(METAD)
    with pytest.raises(IdentityError, match=words):
        run(*lines)


def test_half_a_line_of_colvar_is_cut_off(run):
    """What is printed is no bias: a checkpoint may hold less of it than was written before a kill."""
    run(METAD, PRINT)
    kept = Path("COLVAR").read_text()
    Path("COLVAR").write_text(f"{kept} 0.0030  1.2")
    run("RESTART", METAD, PRINT)
    assert Path("COLVAR").read_text().startswith(f"{kept}#! FIELDS")


def test_a_device_keeps_nothing(run):
    run(METAD, "PRINT ARG=u.py-mean FILE=/dev/null")
    assert not Path("/dev/null.identity.json").exists()


def test_opes_states_are_looked_up(run, retrained):
    opes = "OPES_METAD ARG=u.py-mean SIGMA=0.3 BARRIER=20 PACE=2 TEMP=300 STATE_WFILE=STATE STATE_WSTRIDE=2"
    run(opes)
    run("RESTART", f"{opes} STATE_RFILE=STATE")
    with pytest.raises(IdentityError, match="STATE is of collective variable"):
        retrained("RESTART", f"{opes} STATE_RFILE=STATE")


def test_hills_that_nobody_knows(run, bundle):
    run(METAD)
    identity_file(Path("HILLS")).unlink()
    with pytest.raises(IdentityError, match=r"HILLS: nothing says which uncertainty .*in HILLS.identity.json"):
        run("RESTART", METAD)
    identity_file(Path("HILLS")).write_text(f'{{"collective variable": "{bundle.short_hash}"}}')
    run("RESTART", METAD)


def test_what_plumed_puts_aside_keeps_its_identity(run, retrained, bundle, monkeypatch):
    monkeypatch.delenv("PLUMED_MAXBACKUP", raising=False)
    run(METAD)
    retrained(METAD)
    said = [json.loads(identity_file(Path(name)).read_text()) for name in ("bck.0.HILLS", "HILLS")]
    assert [s["collective variable"] for s in said] == [bundle.short_hash, retrained.module.removeprefix("uqcv_")]


def test_a_bias_of_plumeds_own_makes_no_such_files(run):
    run(METAD)
    run("phi: TORSION ATOMS=5,7,9,15", "METAD ARG=phi SIGMA=0.3 HEIGHT=1 PACE=2")
    assert identity_file(Path("HILLS")).is_file(), "the uncertainty is in that input too"
    system_free = BiasFiles.of("phi: TORSION ATOMS=5,7,9,15\nMETAD ARG=phi SIGMA=0.3 HEIGHT=1 PACE=2")
    assert not system_free.is_ours
    system_free.claim(set())
    assert not identity_file(Path("HILLS")).exists(), "what was said there is no longer so"


@pytest.mark.parametrize(("content", "words"), [("", "it is empty"), ("a\nb", "line 2 has no end"), ("a\nb\n", None)])
def test_files_that_plumed_would_read_in_part(tmp_path, content, words):
    path = tmp_path / "HILLS"
    path.write_text(content)
    if words is None:
        require_whole(path)
    else:
        with pytest.raises(InputError, match=f"HILLS: {words}"):
            require_whole(path)


def test_own_hills_of_a_walker_are_made_ready(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    Path("x/H.1").write_text("#! FIELDS\n 1 2\n 3")
    Path("x/H.2").write_text("#! FIELDS\n 1")
    BiasFiles.of(
        "RESTART\nd: DISTANCE ATOMS=1,2\nMETAD ARG=d WALKERS_N=3 WALKERS_ID=1 WALKERS_DIR=x FILE=H"
    ).make_ready()
    made = {path.name: path.read_text() for path in Path("x").glob("H.?")}
    assert made == {"H.0": "", "H.1": "#! FIELDS\n 1 2\n", "H.2": "#! FIELDS\n 1"}
    assert identity_file(Path("x/H")).is_file(), "one file says what the hills of all are of"
    other = BiasFiles.of("RESTART\nd: DISTANCE ATOMS=1,3\nMETAD ARG=d WALKERS_N=3 WALKERS_ID=2 WALKERS_DIR=x FILE=H")
    for refuse in (other.require_same, other.make_ready):
        with pytest.raises(IdentityError, match="x/H is of PLUMED input with `d: DISTANCE ATOMS=1,2`"):
            refuse()


def test_shared_hills_that_nobody_knows(bundle, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f"RESTART\nu: PYCVINTERFACE ATOMS=1-22 IMPORT={exported[1]}\n{METAD} WALKERS_N=2 WALKERS_ID=0"
    import_modules(text, exported[0])
    files = BiasFiles.of(text)
    Path("HILLS.1").write_text("")
    files.require_same()
    Path("HILLS.1").write_text("#! FIELDS\n 1\n")
    with pytest.raises(IdentityError, match=r"HILLS: nothing says which uncertainty .*in HILLS.identity.json"):
        files.require_same()
    identity_file(Path("HILLS")).write_text(f'{{"collective variable": "{bundle.short_hash}"}}')
    files.require_same()
