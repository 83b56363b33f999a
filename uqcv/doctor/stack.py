"""Checks of what is installed, engines aside. Each imports what it needs itself: any of it may be broken."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from uqcv.doctor.check import CheckError, Patient, require
from uqcv.processes import available_cores

NOT_INSTALLED = "uqcv itself is not installed; install it with: pip install -c requirements.lock -e ."
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
CONTAINER = "set sampling.processes and training.threads to what it may use, or give the container more"
IMPORTED = ("ase", "matplotlib", "mdtraj", "sklearn.mixture", "vesin")
# What compiled networks are made with: OpenMP, and the headers of Python.
SOURCE = """#include <Python.h>
#include <omp.h>
#include <vector>
extern "C" long count() { std::vector<int> v(omp_get_max_threads()); return v.size() + PY_MAJOR_VERSION; }
"""


def python(patient: Patient) -> str:
    """Check the version of Python."""
    asked = _metadata()["Requires-Python"] or ""
    version = platform.python_version()
    return require(SpecifierSet(asked).contains(version, prereleases=True), f"{version} ({asked} is asked)")


def packages(patient: Patient) -> str:
    """Check the version of each package that uqcv declares."""
    wanted = [Requirement(line) for line in _metadata().get_all("Requires-Dist") or []]
    found = {r: _version(r.name) for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})}
    wrong = [_against(r, v) for r, v in found.items() if v is None or not r.specifier.contains(v, prereleases=True)]
    if wrong:
        raise CheckError("; ".join(wrong))
    return ", ".join(f"{r.name} {v}" for r, v in found.items())


def imports(patient: Patient) -> str:
    """Import the packages that no other check uses: one that was compiled for another numpy shows it here."""
    wrong = []
    for name in IMPORTED:
        try:
            importlib.import_module(name)
        except Exception as error:  # what a broken package raises is its own affair
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    return require(not wrong, "; ".join(wrong) or ", ".join(IMPORTED))


def _metadata() -> importlib.metadata.PackageMetadata:
    try:
        return importlib.metadata.metadata("uqcv")
    except importlib.metadata.PackageNotFoundError as error:
        raise CheckError("no metadata of uqcv", NOT_INSTALLED) from error


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _against(requirement: Requirement, version: str | None) -> str:
    found = "is not installed" if version is None else f"{version} was found"
    return f"{requirement.name} {found}, {requirement.specifier} is expected"


def torch_works(patient: Patient) -> str:
    """Differentiate something on each device that torch offers."""
    import torch

    devices = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    for device in devices:
        x = torch.ones(3, device=device, requires_grad=True)
        (slope,) = torch.autograd.grad(x.square().sum(), x)
        require(slope.tolist() == [2.0] * 3, f"wrong numbers on {device}: {slope.tolist()}, 2 is expected")
    return f"{torch.__version__}, devices: {', '.join(devices)}"


def threads(patient: Patient) -> str:
    """Compare the threads of torch with the cores that are there."""
    import torch

    cores, taken, asked = available_cores(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS", "not set")
    detail = f"{taken} threads of torch on {cores} cores (OMP_NUM_THREADS: {asked}); walkers take one each"
    share = container_share(CPU_LIMIT)
    if share < cores:
        raise CheckError(f"{cores} cores are seen, but this container may use {share:g} of them", CONTAINER)
    return require(taken <= cores, detail)


def container_share(limit: Path) -> float:
    """Return how many cores a container may use, infinity if it is not limited; version 2 of Linux's cgroups."""
    quota, period = limit.read_text().split() if limit.is_file() else ("max", "1")
    return float("inf") if quota == "max" else int(quota) / int(period)


def compiler(patient: Patient) -> str:
    """Compile what networks are compiled with: C++ with OpenMP against the headers of Python."""
    from uqcv.potentials.compilation import has_compiler

    name = os.environ.get("CXX", "g++")  # as torch chooses it
    path = shutil.which(name)
    if path is None or not has_compiler():
        raise CheckError(f"no C++ compiler ({name} is not on PATH): networks run uncompiled, four times slower")
    Path("try.cpp").write_text(SOURCE)
    include = sysconfig.get_paths()["include"]
    command = [path, "-shared", "-fPIC", "-fopenmp", f"-I{include}", "try.cpp", "-o", "try.so"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
    if done.returncode:
        raise CheckError(f"{path} cannot compile: {next(iter(errors), f'exit code {done.returncode}')}")
    return f"{path}, with OpenMP and the headers of Python"
