"""Compiled code is kept and used again; where nothing can be compiled, the same numbers come slower."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from uqcv.colvars.bundle import Bundle
from uqcv.potentials import compilation
from uqcv.potentials.compilation import CACHE_VARIABLE, compiled_or_eager, keep_compiled_code

COUNT = """
import sys, numpy as np, torch
from pathlib import Path
from torch._dynamo.utils import counters
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.uncertainty_cv import UncertaintyCV
torch.set_num_threads(1)
numbers, positions = np.load(sys.argv[2]), np.load(sys.argv[3])
cv = UncertaintyCV(Bundle.load(Path(sys.argv[1])), numbers, dtype=torch.float32, compiled=True)
compiled = cv.evaluate(positions)
forces = compiled.forces({"mean": 0.1})
eager = UncertaintyCV(cv.bundle, numbers, dtype=torch.float32).evaluate(positions)
expected, zero = eager.forces({"mean": 0.1}), cv.bundle.settings.lowest_energy
print(counters["inductor"]["fxgraph_cache_miss"], counters["inductor"]["fxgraph_cache_hit"], compiled.value("mean"))
print(abs(forces - expected).max() / abs(expected).max())
print(abs(compiled.energy - eager.energy) / abs(eager.energy - zero))
"""


def twice(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def test_without_a_compiler_it_says_so_and_runs(monkeypatch, capsys):
    monkeypatch.setattr(compilation.shutil, "which", lambda name: None)
    assert compiled_or_eager(twice) is twice
    assert "no C++ compiler was found, the network runs uncompiled" in capsys.readouterr().err


def test_many_shapes_stay_compiled(monkeypatch):
    """torch would go on uncompiled, without a word, after eight of them."""
    compiled, real = [], torch.compile

    def counted(graph, inputs):
        compiled.append(inputs[0].shape)
        return graph.forward

    def without_kernels(function, dynamic, fullgraph, **options):
        return real(function, dynamic=dynamic, fullgraph=fullgraph, backend=counted)

    monkeypatch.setattr(compilation.torch, "compile", without_kernels)
    function = compiled_or_eager(twice)
    for n in range(2, 14):
        assert function(torch.ones(n)).sum().item() == 2 * n
    assert [shape[0] for shape in compiled] == list(range(2, 14))


def test_a_compiler_that_fails_is_named_once(monkeypatch, capsys):
    def broken(*arguments):
        raise RuntimeError("CppCompileError: Python.h: No such file\nmore")

    monkeypatch.setattr(compilation.torch, "compile", lambda function, **options: broken)
    function = compiled_or_eager(twice)
    for _ in range(2):
        assert function(torch.tensor(3.0)).item() == 6.0
    (line,) = capsys.readouterr().err.splitlines()
    assert "compiling failed (CppCompileError: Python.h: No such file), the network runs uncompiled" in line


def test_what_is_wrong_with_the_arguments_is_not_hidden(monkeypatch):
    def wrong(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(compilation.torch, "compile", lambda function, **options: function)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        compiled_or_eager(wrong)(torch.zeros(1))


def test_code_is_kept_in_the_cache_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    keep_compiled_code()
    assert os.environ[CACHE_VARIABLE] == str(tmp_path / "uqcv" / "compiled")
    monkeypatch.setenv(CACHE_VARIABLE, "elsewhere")
    keep_compiled_code()
    assert os.environ[CACHE_VARIABLE] == "elsewhere"


def test_a_cache_that_cannot_be_made_is_left_to_torch(monkeypatch, tmp_path):
    (tmp_path / "uqcv").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    keep_compiled_code()
    assert CACHE_VARIABLE not in os.environ


@pytest.mark.slow
def test_another_process_uses_it_again_for_a_retrained_potential(bundle, molecule, tmp_path):
    """The second process has other weights and other mixtures, and compiles nothing."""
    first = bundle.save(tmp_path / "first")
    other = Bundle.load(first)
    with torch.no_grad():
        for parameter in other.potential.parameters():
            parameter.mul_(1.01)
    second = Bundle(other.settings, other.potential, other.uncertainty).save(tmp_path / "second")
    np.save(tmp_path / "numbers.npy", molecule.numbers)
    np.save(tmp_path / "positions.npy", molecule.positions)
    results = [_count(folder, tmp_path) for folder in (first, second)]
    assert [(misses > 0, hits > 0) for misses, hits, *_ in results] == [(True, False), (False, True)]
    assert results[0][2] != results[1][2]
    for *_, forces, energy in results:
        assert forces < 1e-5 and energy < 1e-5, "compiled and eager, relative, in single precision"


def _count(bundle: Path, folder: Path) -> tuple[float, ...]:
    environment = os.environ | {CACHE_VARIABLE: str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", COUNT, str(bundle), str(folder / "numbers.npy"), str(folder / "positions.npy")]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return tuple(map(float, result.stdout.split()))
