"""A healthy install is green; each broken one is named by the checks that it breaks, and by no others."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from installs import CRYSTAL, MODEL, SLOW, STACK, Install, broken_environment, command

from uqcv.colvars.export import module_name
from uqcv.doctor.registry import chosen_checks
from uqcv.processes import available_cores
from uqcv.structures import write_structures

INSTALLS = STACK | MODEL | CRYSTAL
Results = tuple[int, list[dict]]
INPUT = """u: PYCVINTERFACE ATOMS=1-22 IMPORT={module}
metad: METAD ARG=u.py-mean SIGMA=0.2 HEIGHT=1.0 PACE=100 FILE=HILLS
PRINT ARG=u.py-mean FILE=COLVAR STRIDE=10
"""


@pytest.fixture(scope="module")
def models(bundle, crystal_bundle, frames, crystals, tmp_path_factory) -> Path:
    """Two models, each beside its training frames, and a PLUMED input."""
    folder = tmp_path_factory.mktemp("models")
    for name, model, structures in (("molecule", bundle, frames), ("crystal", crystal_bundle, crystals)):
        model.save(folder / name / "bundle")
        write_structures(folder / name / "training.extxyz", structures[:2])
    (folder / "plumed.dat").write_text(INPUT.format(module=module_name(bundle)))
    return folder


@pytest.fixture(scope="module")
def examined(request, models, tmp_path_factory) -> Iterator[Callable[[str], Results]]:
    """What the doctor says of each install that is asked for, examined as many at a time as there are cores."""

    def examine(install: Install | None, *arguments: object) -> Results:
        folder, home, scratch = (tmp_path_factory.mktemp("install") for _ in range(3))
        environment = broken_environment(install, folder) | {"TMPDIR": str(scratch)}
        done = subprocess.run(
            command(install, *arguments, "--json"),
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=240,
        )
        left = [path.name for place in (home, scratch) for path in place.iterdir()]
        assert not left and not done.stderr, f"{left} {done.stderr}"
        return done.returncode, json.loads(done.stdout)

    molecule, crystal = ((models / name / "bundle",) for name in ("molecule", "crystal"))
    arguments = dict.fromkeys(MODEL, molecule) | dict.fromkeys([*CRYSTAL, "a healthy crystal"], crystal)
    arguments["a healthy install"] = (*molecule, "--plumed", models / "plumed.dat")
    wanted = {
        name: INSTALLS.get(name)
        for name in ("a healthy install", "a healthy crystal", *INSTALLS)
        if any(item.name.endswith((f"[{name}]", name.replace(" ", "_"))) for item in request.session.items)
    }
    with ThreadPoolExecutor(available_cores()) as pool:
        futures = {name: pool.submit(examine, install, *arguments.get(name, ())) for name, install in wanted.items()}
        yield lambda name: futures[name].result()
        pool.shutdown(cancel_futures=True)


def test_a_healthy_install(examined):
    code, findings = examined("a healthy install")
    assert [f["name"] for f in findings if not f["ok"]] == [] and code == 0
    assert [f["name"] for f in findings] == [check.name for check in chosen_checks(True, True)]
    said = {f["name"]: f["detail"] for f in findings}
    assert said["virial under strain"] == "not periodic: nothing to check"
    assert "kJ/mol/nm (at most 1e-05 of it)" in said["gradient of U through PLUMED"]
    assert "5 hills in 25 steps" in said["hills where expected"]
    assert "training.extxyz, first frame" in said["structure"]
    assert said["PLUMED input: fusing"].startswith("fused with the network")
    assert said["PLUMED input: steps"] == "steps: metad each 100, PRINT each 10; a checkpoint keeps only these"


@pytest.mark.slow
def test_a_healthy_crystal(examined):
    code, findings = examined("a healthy crystal")
    assert [f["name"] for f in findings if not f["ok"]] == [] and code == 0
    said = {f["name"]: f["detail"] for f in findings}
    assert "kJ/mol (at most 1e-05 of it)" in said["virial under strain"]
    assert "periodic: no torque" in said["net force and torque"]


def marks(name: str) -> tuple[pytest.MarkDecorator, ...]:
    one_core = pytest.mark.skipif(os.cpu_count() == 1, reason="one core takes one thread")
    return (*([pytest.mark.slow] if name in SLOW else []), *([one_core] if name == "too many threads" else []))


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in INSTALLS])
def test_a_broken_install_is_named_rightly(examined, name):
    install, (code, findings) = INSTALLS[name], examined(name)
    red = [f for f in findings if f["ok"] is False]
    assert code == 1 and tuple(f["name"] for f in red) == install.wrong, red
    assert install.detail in red[0]["detail"] and install.advice in red[0]["advice"]
    assert all("\n" not in f["detail"] for f in findings)
    unknown = {f["name"]: f["detail"] for f in findings if f["ok"] is None}
    broken = {*install.wrong, *unknown}
    assert all(detail.startswith("not checked (needs ") and detail[19:-1] in broken for detail in unknown.values())
