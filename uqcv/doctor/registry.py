"""All checks, in the order in which they are made and shown."""

from __future__ import annotations

from uqcv.doctor.check import Check

LOCK = "pip install -c requirements.lock -e ."
PLUMED_LOCK = "pip install --no-deps -r plumed.lock"
FIT_AGAIN = "fit the bundle again with this version of uqcv, and do not run with this one"

STACK = (
    Check("Python", "uqcv.doctor.stack:python", advice="make a virtual environment of a newer Python"),
    Check("packages", "uqcv.doctor.stack:packages", advice=f"install them with: {LOCK}"),
    Check("imports", "uqcv.doctor.stack:imports", advice=f"install them anew with: {LOCK}"),
    Check("torch", "uqcv.doctor.stack:torch_works", advice=f"install it with: {LOCK}"),
    Check("threads", "uqcv.doctor.stack:threads", ("torch",), "leave OMP_NUM_THREADS out, or set the number of cores"),
    Check("compiler", "uqcv.doctor.stack:compiler", advice="install g++ and python3-dev, or point CXX at a compiler"),
    Check("OpenMM", "uqcv.doctor.engines:openmm_works", ("torch",), f"install it with: {LOCK}"),
    Check("PLUMED module", "uqcv.doctor.engines:plumed_there", advice=f"install it with: {PLUMED_LOCK}"),
    Check(
        "PLUMED kernel", "uqcv.doctor.engines:kernel", ("torch", "PLUMED module"),
        f"install it with: {PLUMED_LOCK}, or point PLUMED_KERNEL at your libplumedKernel.so",
    ),
    Check(
        "EXTRACV", "uqcv.doctor.engines:extra_cv", ("PLUMED kernel",),
        f"biases cannot be fused with this kernel; take the one of: {PLUMED_LOCK}",
    ),
    Check("OPES", "uqcv.doctor.engines:opes", ("PLUMED kernel",), f"take a kernel with the module opes: {PLUMED_LOCK}"),
    Check("PyCV plugin", "uqcv.doctor.engines:plugin", ("PLUMED kernel",), f"install it with: {PLUMED_LOCK}"),
    Check("libpython", "uqcv.doctor.engines:libpython", advice="use a Python built with --enable-shared"),
    Check(
        "plumed program", "uqcv.doctor.engines:program", ("PyCV plugin", "libpython"),
        f"run it as `uqcv plumed ...`; if it is missing: {PLUMED_LOCK}",
    ),
)  # fmt: skip

ENGINES = ("OpenMM", "PyCV plugin")
BUNDLE = (
    Check("bundle", "uqcv.doctor.model:bundle", ("torch",), "give a folder that `uqcv fit` wrote, or fit it again"),
    Check("structure", "uqcv.doctor.model:structure", ("bundle",), "give another with --structure"),
    Check("exported CV", "uqcv.doctor.model:exported", ("structure", "PyCV plugin"), "export the bundle again"),
    Check("gradient of U through PLUMED", "uqcv.doctor.derivatives:gradient", ("exported CV",)),
    Check("virial under strain", "uqcv.doctor.derivatives:virial", ("exported CV",)),
    Check("rotation", "uqcv.doctor.derivatives:rotation", ("exported CV",), FIT_AGAIN),
    Check("net force and torque", "uqcv.doctor.derivatives:net_force", ("exported CV",), FIT_AGAIN),
    Check("fused against unfused", "uqcv.doctor.dynamics:fused", ("exported CV", "OpenMM")),
    Check("energy asked twice", "uqcv.doctor.dynamics:asked_twice", ("exported CV", "OpenMM")),
    Check("hills where expected", "uqcv.doctor.dynamics:hills", ("exported CV", "OpenMM")),
    Check("resume", "uqcv.doctor.dynamics:resume", ("hills where expected",), is_fresh=True),
)

PLUMED_FILE = (
    Check("PLUMED input", "uqcv.doctor.plumed_file:accepted", ("PyCV plugin",), "mend the line that PLUMED names"),
    Check("PLUMED input: fusing", "uqcv.doctor.plumed_file:fusing", ("PLUMED input",)),
    Check("PLUMED input: files", "uqcv.doctor.plumed_file:files", ("PLUMED input",), "begin anew without them"),
    Check("PLUMED input: steps", "uqcv.doctor.plumed_file:steps", ("PLUMED input",)),
)


def chosen_checks(with_bundle: bool, with_plumed: bool) -> tuple[Check, ...]:
    """Return the checks of an installation, and those of what else was given."""
    return STACK + (BUNDLE if with_bundle else ()) + (PLUMED_FILE if with_plumed else ())
