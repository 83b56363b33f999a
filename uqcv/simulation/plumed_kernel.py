"""Finding the PLUMED kernel, its PyCV plugin and its program."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from uqcv.errors import MissingEngineError

HOW_TO_INSTALL = "install it with: pip install --no-deps -r plumed.lock"


def plumed_module() -> ModuleType:
    """Return the `plumed` module, whether or not there is a kernel behind it.

    Raises
    ------
    MissingEngineError
        If there is none, or its compiled part cannot be imported.
    """
    try:
        import plumed
    except ImportError as error:
        raise MissingEngineError(f"no PLUMED here ({error}); {HOW_TO_INSTALL}") from error
    if not hasattr(plumed, "Plumed"):  # the wheel's module only warns when its compiled part fails
        raise MissingEngineError(f"the plumed module at {plumed.__file__} does not work here; {HOW_TO_INSTALL}")
    return plumed


def require_plumed() -> ModuleType:
    """Return the `plumed` module, with a kernel behind it.

    Raises
    ------
    MissingEngineError
        If the module is missing, or is the wrapper of PyPI that comes without a kernel.
    """
    plumed = plumed_module()
    kernel = os.environ.get("PLUMED_KERNEL")
    if not kernel or not Path(kernel).is_file():
        raise MissingEngineError(
            f"PLUMED's Python wrapper is here but no kernel (PLUMED_KERNEL={kernel}); {HOW_TO_INSTALL}, "
            "or point PLUMED_KERNEL at your libplumedKernel.so"
        )
    return plumed


def load_kernel() -> Any:
    """Return a new PLUMED.

    Raises
    ------
    MissingEngineError
        If its kernel is missing or cannot be loaded; the system's own words go to standard error.
    """
    plumed = require_plumed()
    try:
        return plumed.Plumed()
    except RuntimeError as error:
        raise MissingEngineError(
            f"PLUMED's kernel {os.environ['PLUMED_KERNEL']} cannot be loaded ({error}); {HOW_TO_INSTALL}, "
            "or point PLUMED_KERNEL at your libplumedKernel.so"
        ) from error


def pycv_plugin() -> Path:
    """Return the path of the PyCV plugin.

    Raises
    ------
    MissingEngineError
        If this PLUMED has none.
    """
    plumed = require_plumed()
    if not hasattr(plumed, "get_pycv_path"):
        raise MissingEngineError(f"this PLUMED has no PyCV plugin; {HOW_TO_INSTALL}")
    try:
        return Path(plumed.get_pycv_path())
    except RuntimeError as error:  # its file is not there
        raise MissingEngineError(f"this PLUMED has no PyCV plugin ({error}); {HOW_TO_INSTALL}") from error


def plumed_program() -> Path:
    """Return the path of the `plumed` program.

    Raises
    ------
    MissingEngineError
        If this PLUMED came without it.
    """
    program = getattr(require_plumed(), "BUNDLED_PLUMED_BIN", None)
    if program is None:
        raise MissingEngineError(f"this PLUMED came without its program; {HOW_TO_INSTALL}")
    return Path(program)


def python_library() -> Path:
    """Return the path of this Python's shared library.

    Raises
    ------
    MissingEngineError
        If it has none.
    """
    library = Path(sysconfig.get_config_var("LIBDIR") or "") / str(sysconfig.get_config_var("INSTSONAME"))
    if not library.is_file() or ".so" not in library.name:
        raise MissingEngineError(
            f"this Python has no shared library ({library}), which the plumed program needs to run PyCV; "
            "use a Python built with --enable-shared"
        )
    return library


def program_environment(*module_folders: Path) -> dict[str, str]:
    """Return the environment in which the `plumed` program can load PyCV.

    The plugin needs symbols of libpython, which a program that is not Python does not bring, the folders of this
    Python's packages, and the kernel's folder.

    Parameters
    ----------
    module_folders
        Folders of exported CVs.

    Raises
    ------
    MissingEngineError
        If this Python has no shared library.
    """
    plugin, library = pycv_plugin(), python_library()
    paths = [str(Path(f).resolve()) for f in module_folders] + [p for p in sys.path if p]
    return os.environ | {
        "LD_PRELOAD": str(library),
        "LD_LIBRARY_PATH": f"{plugin.parent}:{os.environ.get('LD_LIBRARY_PATH', '')}",
        "PYTHONPATH": ":".join(paths),
        "PLUMED_ROOT": str(plugin.parent / "plumed"),
        "PLUMED_KERNEL": os.environ["PLUMED_KERNEL"],
    }
