"""Imports point one way, and heavy packages stay where they belong."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import uqcv

PACKAGE = Path(uqcv.__file__).parent

# From top to bottom; a name imports from lower lines only, and names on one line never import each other.
LAYERS = (
    ("uqcv.cli",),
    ("uqcv.doctor", "uqcv.benchmarks", "uqcv.study"),
    ("uqcv.active_learning",),  # the manager and what belongs to it
    ("uqcv.config",),
    ("uqcv.sampling", "uqcv.labeling", "uqcv.analysis", "uqcv.active_learning.selection"),
    ("uqcv.active_learning.diversity",),
    ("uqcv.simulation",),
    ("uqcv.colvars",),
    ("uqcv.potentials", "uqcv.uncertainty"),
    ("uqcv.structures", "uqcv.progress", "uqcv.input_files"),
    ("uqcv.files", "uqcv.remote", "uqcv.forks"),
    ("uqcv.processes", "uqcv.folders", "uqcv.settings_input"),
    ("uqcv.units", "uqcv.errors", "uqcv.seeding"),
    ("uqcv",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# Which packages may be imported where; elsewhere not even inside a function.
HOMES = {
    "openmm": ("uqcv.simulation", "uqcv.labeling"),
    "plumed": ("uqcv.simulation", "uqcv.labeling"),
    "plumedCommunications": ("uqcv.colvars",),
    "ase": (
        "uqcv.structures",
        "uqcv.simulation.covalent_radii",
        "uqcv.labeling",
        "uqcv.potentials.adapters",
        "uqcv.benchmarks.peers",
    ),
    "mdtraj": ("uqcv.analysis",),
}

MODULES = {
    ".".join(("uqcv", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def part(module: str) -> str:
    """The longest name in the table that `module` belongs to."""
    names = [n for n in LEVEL if module == n or (n != "uqcv" and module.startswith(f"{n}."))]
    assert names, f"{module} is in no layer: add it to the table"
    return max(names, key=len)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in full)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    here = part(module)
    for name in imports(MODULES[module]):
        if name == "uqcv" or name.startswith("uqcv."):
            there = part(name)
            assert there == here or LEVEL[there] > LEVEL[here], f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_packages_stay_at_home(module):
    for name in imports(MODULES[module]):
        homes = HOMES.get(name.split(".")[0])
        at_home = homes is None or any(module == home or module.startswith(f"{home}.") for home in homes)
        assert at_home, f"{module} imports {name}; only {' and '.join(homes or ())} may"


def test_the_table_knows_a_violation(tmp_path):
    """The checks above must be able to fail."""
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    import openmm.app\n    from uqcv.simulation import forces\n")
    assert list(imports(bad)) == ["openmm.app", "uqcv.simulation.forces"]
    assert LEVEL[part("uqcv.simulation.forces")] < LEVEL[part("uqcv.colvars.pycv")]
    assert part("uqcv.active_learning.selection") != part("uqcv.active_learning.manager")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("uqcv.cli", ("torch", "openmm", "mdtraj", "ase", "plumed", "sklearn", "matplotlib")),
        ("uqcv.active_learning.selection", ("torch", "openmm", "mdtraj", "ase")),
        ("uqcv.colvars.pycv", ("openmm", "mdtraj", "plumed")),
    ],
)
def test_importing_does_not_load(module, absent):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"no {module} yet")
    code = f"import sys, {module}; print(sorted(set({absent!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
