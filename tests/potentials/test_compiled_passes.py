"""Where nothing can be compiled, a line says why and the same numbers come slower."""

import pytest
import torch

from uqcv.potentials import compiled_passes
from uqcv.potentials.passes import AutogradPasses
from uqcv.potentials.recording import RecordedPasses


def broken(*arguments, **options):
    raise RuntimeError("CppCompileError: Python.h: No such file\nmore")


def changed(graph, arguments):
    """Stands for another version of torch, which takes other arguments."""


@pytest.mark.parametrize(
    ("target", "name", "replacement", "said"),
    [
        (torch._inductor, "standalone_compile", broken, "failed (CppCompileError: Python.h: No such file)"),
        (torch._inductor, "standalone_compile", changed, "failed (changed() got an unexpected keyword argument"),
        (compiled_passes, "has_compiler", lambda: False, "no C++ compiler was found"),
    ],
)
def test_a_compiler_that_fails_or_is_missing_is_named(
    springs, links, positions, offsets, monkeypatch, capsys, target, name, replacement, said
):
    monkeypatch.setattr(target, name, replacement)
    (expected, _), _ = AutogradPasses(springs).forward(positions.clone(), offsets, links)
    passes = compiled_passes.compiled_passes(springs, complete=True)
    for _ in range(2):
        (energy, _), _ = passes.forward(positions.clone(), offsets, links)
        assert torch.equal(energy, expected)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and "the network runs uncompiled" in line


def test_a_molecule_is_recorded_and_compiled(springs, links, positions, offsets, capsys):
    passes = compiled_passes.compiled_passes(springs, complete=True)
    (energy, _), _ = passes.forward(positions.clone(), offsets, links)
    assert isinstance(passes._passes, RecordedPasses) and not energy.requires_grad
    assert capsys.readouterr().err == ""
