"""All checks, in the order in which they are made and shown."""

from __future__ import annotations

from uqcv.doctor.check import Check

LOCK = "pip install -c requirements.lock -e ."
PLUMED_LOCK = "pip install --no-deps -r plumed.lock"
FIT_AGAIN = "fit the bundle again with this version of uqcv, and do not run with this one"

STACK = (
    Check("Python", "stack:python", advice="make a virtual environment of a newer Python"),
    Check("packages", "stack:packages", advice=f"install them with: {LOCK}"),
    Check("torch", "stack:torch_works", advice=f"install it with: {LOCK}"),
    Check("threads", "stack:threads", ("torch",), "set OMP_NUM_THREADS to the number of cores, or leave it out"),
    Check("compiler", "stack:compiler", advice="install g++ and the headers of Python (python3-dev), or set CXX"),
    Check("OpenMM", "engines:openmm_works", ("torch",), f"install it with: {LOCK}"),
    Check("PLUMED module", "engines:plumed_there", advice=f"install it with: {PLUMED_LOCK}"),
    Check(
        "PLUMED kernel", "engines:kernel", ("torch", "PLUMED module"),
        f"install it with: {PLUMED_LOCK}, or point PLUMED_KERNEL at your libplumedKernel.so",
    ),
    Check(
        "EXTRACV", "engines:extra_cv", ("PLUMED kernel",),
        f"biases cannot be fused with this kernel; take the one of: {PLUMED_LOCK}",
    ),
    Check("OPES", "engines:opes", ("PLUMED kernel",), f"take a kernel with the module opes: {PLUMED_LOCK}"),
    Check("PyCV plugin", "engines:plugin", ("PLUMED kernel",), f"install it with: {PLUMED_LOCK}"),
    Check("libpython", "engines:libpython", advice="use a Python built with --enable-shared"),
    Check(
        "plumed program", "engines:program", ("PyCV plugin", "libpython"),
        f"run it as `uqcv plumed ...`; if it is missing: {PLUMED_LOCK}",
    ),
)  # fmt: skip

ENGINES = ("OpenMM", "PyCV plugin")
BUNDLE = (
    Check("bundle", "model:bundle", ("torch",), "give a folder that `uqcv fit` wrote, or fit it again"),
    Check("structure", "model:structure", ("bundle",), "give another with --structure"),
    Check("exported CV", "model:exported", ("structure", "PyCV plugin"), "export the bundle again"),
    Check("gradient of U through PLUMED", "derivatives:gradient", ("exported CV",)),
    Check("virial under strain", "derivatives:virial", ("exported CV",)),
    Check("rotation", "derivatives:rotation", ("exported CV",), FIT_AGAIN),
    Check("net force and torque", "derivatives:net_force", ("exported CV",), FIT_AGAIN),
    Check("fused against unfused", "dynamics:fused", ("exported CV", "OpenMM")),
    Check("energy asked twice", "dynamics:asked_twice", ("exported CV", "OpenMM")),
    Check("hills where expected", "dynamics:hills", ("exported CV", "OpenMM")),
    Check("resume", "dynamics:resume", ("hills where expected",), is_fresh=True),
)

PLUMED_FILE = (
    Check("PLUMED input", "plumed_file:accepted", ("PyCV plugin",), "mend the line that PLUMED names"),
    Check("its fusing", "plumed_file:fusing", ("PLUMED input",)),
    Check("its steps", "plumed_file:steps", ("PLUMED input",)),
)


def chosen_checks(with_bundle: bool, with_plumed: bool) -> tuple[Check, ...]:
    """Return the checks of an installation, and those of what else was given."""
    return STACK + (BUNDLE if with_bundle else ()) + (PLUMED_FILE if with_plumed else ())
