"""Finding PLUMED: what is there works, what is missing is said in one line with the remedy."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from uqcv.errors import MissingEngineError
from uqcv.simulation.plumed_kernel import plumed_program, program_environment, pycv_plugin, require_plumed


def test_the_kernel_runs():
    plumed = require_plumed()
    kernel = plumed.Plumed()
    kernel.cmd("setNatoms", 1)
    kernel.cmd("setLogFile", "/dev/null")
    kernel.cmd("init")
    kernel.finalize()


def test_the_plugin_is_a_library():
    assert pycv_plugin().is_file() and ".so" in pycv_plugin().name


def test_the_program_runs_in_its_environment(tmp_path):
    environment = program_environment(tmp_path)
    assert environment["PYTHONPATH"].split(":")[0] == str(tmp_path)
    result = subprocess.run(
        [str(plumed_program()), "info", "--version"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0 and result.stdout.strip().startswith("2."), result.stderr


@pytest.mark.parametrize("kernel", [None, "/nowhere/libplumedKernel.so"])
def test_no_kernel(monkeypatch, kernel):
    if kernel is None:
        monkeypatch.delenv("PLUMED_KERNEL")
    else:
        monkeypatch.setenv("PLUMED_KERNEL", kernel)
    with pytest.raises(MissingEngineError, match=f"no kernel \\(PLUMED_KERNEL={kernel}\\); install it with") as caught:
        require_plumed()
    assert "\n" not in str(caught.value)


def test_no_plumed_at_all(monkeypatch):
    monkeypatch.setitem(sys.modules, "plumed", None)
    with pytest.raises(MissingEngineError, match=r"no PLUMED here .* install it with"):
        require_plumed()


def test_a_plumed_without_plugin_or_program(monkeypatch):
    plumed = require_plumed()
    monkeypatch.delattr(plumed, "get_pycv_path")
    monkeypatch.delattr(plumed, "BUNDLED_PLUMED_BIN")
    with pytest.raises(MissingEngineError, match="no PyCV plugin"):
        pycv_plugin()
    with pytest.raises(MissingEngineError, match="without its program"):
        plumed_program()


def test_a_plugin_whose_file_is_gone(monkeypatch):
    monkeypatch.setattr(require_plumed(), "BUNDLED_PYCV_PATH", None)
    with pytest.raises(MissingEngineError, match=r"no PyCV plugin \(pycv plugin not found.\); install it with"):
        pycv_plugin()


def test_a_module_whose_compiled_part_is_gone(monkeypatch):
    monkeypatch.delattr(require_plumed(), "Plumed")
    with pytest.raises(MissingEngineError, match=r"the plumed module at .* does not work here; install it with"):
        require_plumed()


def test_a_kernel_that_cannot_be_loaded(tmp_path):
    """In a process of its own: PLUMED looks for its kernel once."""
    (tmp_path / "kernel.so").write_text("text")
    code = (
        "from uqcv.errors import MissingEngineError\n"
        "from uqcv.simulation.plumed_kernel import load_kernel\n"
        "try:\n    load_kernel()\nexcept MissingEngineError as error:\n    print(error)"
    )
    environment = os.environ | {"PLUMED_KERNEL": str(tmp_path / "kernel.so")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(f"PLUMED's kernel {tmp_path}/kernel.so cannot be loaded") and not done.returncode


@pytest.mark.parametrize(("folder", "name"), [(None, None), (str(Path(sys.prefix)), "libpython3.a")])
def test_a_python_without_shared_library(monkeypatch, folder, name):
    variables = {"LIBDIR": folder, "INSTSONAME": name}
    monkeypatch.setattr(sysconfig, "get_config_var", variables.get)
    with pytest.raises(MissingEngineError, match=r"this Python has no shared library .* --enable-shared"):
        program_environment()
