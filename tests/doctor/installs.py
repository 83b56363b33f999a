"""Installs that are really broken: shadows of packages on the path, other files, and copies of uqcv with a mistake."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import plumed

import uqcv

PLUMED, KERNEL = Path(plumed.__file__).parent, "PLUMED_KERNEL"
ABORTING = """#include <cstdio>
#include <cstdlib>
struct Init { Init() { std::fputs("Fatal error: a kernel of another machine\\n", stderr); std::abort(); } } init;
"""
Environment = dict[str, str]


@dataclass(frozen=True)
class Install:
    """A broken install.

    Attributes
    ----------
    break_it
        Given a folder, which will be first on the path, and the environment: changes them.
    wrong
        The checks that must be red, in their order.
    detail, advice
        What the first of them must say, and what it must advise.
    prefix
        What the command begins with.
    """

    break_it: Callable[[Path, Environment], None]
    wrong: tuple[str, ...]
    detail: str
    advice: str
    prefix: tuple[str, ...] = ()


def variable(**variables: str) -> Callable[[Path, Environment], None]:
    return lambda folder, environment: environment.update(variables)


def module(name: str, text: str) -> Callable[[Path, Environment], None]:
    return lambda folder, environment: (folder / f"{name}.py").write_text(text)


def no_plugin(folder: Path, environment: Environment) -> None:
    """PLUMED's package as it is, but for one file."""
    for path in PLUMED.rglob("*"):
        copy = folder / "plumed" / path.relative_to(PLUMED)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and not path.name.startswith("PythonCVInterface"):
            copy.symlink_to(path)


def wrapper_of_pypi(folder: Path, environment: Environment) -> None:
    """The package that PyPI calls plumed knows of no kernel; the compiled part here is linked to one, beside it."""
    (folder / "plumed").mkdir()
    (folder / "plumed" / "__init__.py").write_text("from ._plumed_core import *\n")
    for path in (*PLUMED.glob("_plumed_core*"), PLUMED / "_lib"):
        (folder / "plumed" / path.name).symlink_to(path)


def text_as_kernel(folder: Path, environment: Environment) -> None:
    environment[KERNEL] = str(folder / "libplumedKernel.so")
    Path(environment[KERNEL]).write_text("a kernel\n")


def aborting_kernel(folder: Path, environment: Environment) -> None:
    environment[KERNEL] = str(folder / "libplumedKernel.so")
    (folder / "kernel.cpp").write_text(ABORTING)
    subprocess.run(
        ["g++", "-shared", "-fPIC", str(folder / "kernel.cpp"), "-o", environment[KERNEL]], check=True
    )  # fmt: skip


def no_libpython(folder: Path, environment: Environment) -> None:
    """A Python that was built without a shared library, by the variables of its build."""
    name = sysconfig._get_sysconfigdata_name()
    spec = importlib.util.find_spec(name)
    text = Path(spec.origin).read_text() + "\nbuild_time_vars['LIBDIR'] = '/nowhere'\n"
    (folder / "static_build.py").write_text(text)
    environment["_PYTHON_SYSCONFIGDATA_NAME"] = "static_build"


def old_torch(folder: Path, environment: Environment) -> None:
    (folder / "torch-1.13.0.dist-info").mkdir()
    (folder / "torch-1.13.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.13.0\n")


def mistake(file: str, right: str, wrong: str) -> Callable[[Path, Environment], None]:
    """A copy of uqcv in which some code is other code."""

    def break_it(folder: Path, environment: Environment) -> None:
        shutil.copytree(Path(uqcv.__file__).parent, folder / "uqcv", ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / "uqcv" / file
        text = path.read_text()
        assert text.count(right) == 1, f"{file} was changed: break it anew"
        path.write_text(text.replace(right, wrong))

    return break_it


# Those that show no other check than some install before; they take as long.
SLOW = (
    "PyPI's wrapper alone", "a kernel that aborts", "an old torch", "a virial of the wrong sign",
    "no PLUMED", "a kernel that is no library", "no OpenMM", "too many threads", "a bias that is fused wrongly",
    "a checkpoint that forgets PLUMED",
)  # fmt: skip
LOCK, PLUMED_LOCK = "pip install -c requirements.lock", "pip install --no-deps -r plumed.lock"
STACK = {
    "no PLUMED": Install(
        module("plumed", "raise ImportError('nothing of that name')"),
        ("PLUMED module",), "no PLUMED here (nothing of that name)", PLUMED_LOCK,
    ),
    "PyPI's wrapper alone": Install(
        wrapper_of_pypi, ("PLUMED kernel",), "wrapper is here but no kernel (PLUMED_KERNEL=None)", PLUMED_LOCK
    ),
    "no kernel": Install(
        variable(PLUMED_KERNEL="/nowhere/libplumedKernel.so"), ("PLUMED kernel",),
        "wrapper is here but no kernel (PLUMED_KERNEL=/nowhere/libplumedKernel.so)", "PLUMED_KERNEL at your",
    ),
    "a kernel that is no library": Install(text_as_kernel, ("PLUMED kernel",), "file too short", PLUMED_LOCK),
    "a kernel that aborts": Install(
        aborting_kernel, ("PLUMED kernel",),
        "signal 6 (SIGABRT): Fatal error: a kernel of another machine", PLUMED_LOCK,
    ),
    "no plugin": Install(no_plugin, ("PyCV plugin",), "this PLUMED has no PyCV plugin", PLUMED_LOCK),
    "no libpython": Install(
        no_libpython, ("libpython",), "this Python has no shared library (/nowhere/libpython", "--enable-shared"
    ),
    "no compiler": Install(
        variable(CXX="/nowhere/g++", PATH="/nowhere"), ("compiler",), "/nowhere/g++ is not on PATH", "install g++"
    ),
    "an old torch": Install(old_torch, ("packages",), "torch 1.13.0 was found, >=2.13 is expected", LOCK),
    "no OpenMM": Install(
        module("openmm", "raise ImportError('libOpenMM.so is not here')"), ("OpenMM",), "libOpenMM.so", LOCK
    ),
    "too many threads": Install(
        variable(OMP_NUM_THREADS="2"), ("threads",), "2 threads of torch on 1 cores", "leave OMP_NUM_THREADS out",
        ("taskset", "-c", "0"),
    ),
}  # fmt: skip
MODEL = {
    "a gradient in the wrong unit": Install(
        mistake("colvars/pycv.py", "gradient(kind) / ANGSTROM_TO_NM", "gradient(kind)"),
        ("gradient of U through PLUMED", "fused against unfused"),
        "everywhere 0.1 times what it should be: a unit or a sign is wrong", "report it",
    ),
    "features that turn": Install(
        mistake(
            "colvars/models.py", "score_members(inputs, members)",
            "score_members(inputs + 0.05 * links.sum_over_senders(vectors)[:, :1], members)",
        ),
        ("rotation", "net force and torque"), "U changes by", "fit the bundle again",
    ),
    "a bridge that updates at each query": Install(
        mistake(
            "simulation/plumed_bridge.py", 'command("prepareCalc")\n            command("performCalcNoUpdate")',
            'command("calc")',
        ),
        ("energy asked twice", "hills where expected"), "energies at one step differ by", "report it",
    ),
    "a bias that is fused wrongly": Install(
        mistake("simulation/force_functions.py", "force * derivative / EV_TO_KJMOL", "force * derivative"),
        ("fused against unfused",), "forces differ by", "report it",
    ),
    "a checkpoint that forgets PLUMED": Install(
        mistake("simulation/checkpoint.py", "self._keep_diary(diary and DiaryMark(**diary))", "self._keep_diary(None)"),
        ("resume",), "differ", "report it",
    ),
}  # fmt: skip
CRYSTAL = {
    "a virial of the wrong sign": Install(
        mistake("colvars/pycv.py", "-slope * evaluation.strain", "slope * evaluation.strain"),
        ("virial under strain",), "everywhere -1 times what it should be", "report it",
    )
}  # fmt: skip


def broken_environment(install: Install | None, folder: Path) -> Environment:
    """Return the environment of an install that is broken in `folder`, or of the one that runs."""
    environment = {k: v for k, v in os.environ.items() if k != KERNEL}  # which importing plumed has set
    if install is not None:
        install.break_it(folder, environment)
    paths = [str(folder), str(Path(uqcv.__file__).parents[1]), environment.get("PYTHONPATH", "")]
    return environment | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def command(install: Install | None, *arguments: object) -> list[str]:
    """What runs the doctor of whatever uqcv is first on the path."""
    return [*(install.prefix if install else ()), *map(str, (sys.executable, "-m", "uqcv.cli", "doctor", *arguments))]
