"""Writing a folder that any PLUMED with the PyCV plugin can use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.pycv import component_name
from uqcv.errors import InputError
from uqcv.files import write_text
from uqcv.folders import all_or_nothing
from uqcv.uncertainty.pooling import POOLINGS, Pooling

MODULE = '''"""Collective variable of uqcv bundle {hash}.

Written by `uqcv export`, imported by the PYCVINTERFACE of PLUMED.
"""

from pathlib import Path

from uqcv.colvars.pycv import PyCV

_cv = PyCV(
    Path(__file__).parent / "bundle",
    expected_hash="{hash}",
    numbers={numbers},
    pbc={pbc},
    components={components},
    dtype="{dtype}",
    device="{device}",
    compiled={compiled},
)
plumedInit = _cv.init
plumedCalculate = _cv.calculate
'''

EXAMPLE = """# Uncertainty of uqcv bundle {short}. Replace the path by that of your PLUMED's PyCV plugin.
LOAD FILE={plugin}
u: PYCVINTERFACE ATOMS=1-{n_atoms} IMPORT={module}
PRINT ARG={arguments} FILE=COLVAR STRIDE=1 FMT=%25.17g
"""


def module_name(bundle: Bundle) -> str:
    """Return the name of the exported module; it holds the hash, because Python caches modules by name."""
    return f"uqcv_{bundle.short_hash}"


def export(
    bundle: Bundle,
    folder: Path,
    numbers: Sequence[int] | None = None,
    pbc: Sequence[bool] | None = None,
    components: Sequence[Pooling] = ("mean",),
    dtype: str = "float64",
    device: str = "cpu",
    compiled: bool = False,
    plugin: str = "PythonCVInterface.so",
) -> Path:
    """Write the Python module, the bundle and an example input; return the path of the module.

    Parameters
    ----------
    bundle
        What to export.
    folder
        Where to; put it on PYTHONPATH when PLUMED runs outside uqcv.
    numbers
        Atomic numbers of the system; those of the bundle's first training structure unless given.
    pbc
        Periodicity; that of the bundle's first training structure unless given.
    components
        Poolings to offer; each one costs a backward pass in each step.
    dtype, device, compiled
        As for `UncertaintyCV`.
    plugin
        Path of the PyCV plugin for the example.

    Raises
    ------
    InputError
        For a pooling that does not exist.
    UnknownElementError
        If the bundle does not know an element.
    """
    unknown = [c for c in components if c not in POOLINGS]
    if unknown or not components:
        raise InputError(f"components {list(components)} were given; choose from {', '.join(POOLINGS)}")
    folder, name = Path(folder), module_name(bundle)
    numbers = tuple(int(z) for z in (numbers if numbers is not None else bundle.settings.reference_numbers))
    bundle.model.require_elements(numbers)
    pbc = tuple(bool(p) for p in (pbc if pbc is not None else bundle.settings.reference_pbc))
    module, example_path = folder / f"{name}.py", folder / "plumed.dat"
    text = MODULE.format(
        hash=bundle.hash,
        numbers=numbers,
        pbc=pbc,
        components=tuple(components),
        dtype=dtype,
        device=device,
        compiled=compiled,
    )
    arguments = ",".join(f"u.py-{component_name(c)}" for c in components)
    example = EXAMPLE.format(
        short=bundle.short_hash, plugin=plugin, n_atoms=len(numbers), module=name, arguments=arguments
    )
    with all_or_nothing(folder / "bundle", module, example_path):
        bundle.save(folder / "bundle")
        write_text(module, text)
        write_text(example_path, example)
    return module
