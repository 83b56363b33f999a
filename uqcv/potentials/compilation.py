"""Compiling what is evaluated many times at one shape.

torch keeps compiled code on disk and finds it again by architecture, shapes, precision, device and its own version:
weights are arguments of the code, so that a retrained potential, every walker and every later run use it again.
"""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

Options = dict[str, str | int | bool | Callable]
# A step of a small molecule is hundreds of short kernels: called from C++ they cost a sixth less than from Python.
OPTIONS: Options = {"cpp_wrapper": True}
# torch stores what has many readers or is made from many. A convolution over a table of neighbours shall be one loop
# instead, which takes a fifth of the time; the matrix products of complete links are better off without this.
FUSING_OPTIONS: Options = OPTIONS | {
    "realize_reads_threshold": 100,
    "realize_opcount_threshold": 400,
    "realize_acc_reads_threshold": 100,
    "assert_indirect_indexing": False,
}
# Shapes of one network in one process; torch's own limit of 8 is less than a benchmark or a notebook has, and beyond
# it torch would run uncompiled without a word.
MOST_SHAPES = 256
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def has_compiler() -> bool:
    """Whether there is a C++ compiler."""
    return any(shutil.which(name) for name in ("c++", "g++", "clang++"))


def compiled_or_eager(function: Callable, tables: bool = False) -> Callable:
    """Return `function` compiled for fixed shapes at its first call, or itself where that cannot be.

    Parameters
    ----------
    function
        Of tensors; a module's weights may change, its architecture may not.
    tables
        Whether it sums over tables of neighbours.
    """
    if not has_compiler():
        say_eager("no C++ compiler was found")
        return function
    keep_compiled_code()
    _configure()
    chosen = {"backend": _fusing} if tables else {"options": OPTIONS}
    return _Compiled(function, torch.compile(function, dynamic=False, fullgraph=True, **chosen))


def _configure() -> None:
    # They take two seconds, which dynamics without a compiler do not need.
    import torch._dynamo.config
    import torch._functorch.config

    # Two gradients are taken from one forward pass: its buffers must outlive the first of them.
    torch._functorch.config.donated_buffer = False
    torch._dynamo.config.recompile_limit = MOST_SHAPES
    torch._dynamo.config.accumulated_recompile_limit = 8 * MOST_SHAPES


def _fusing(graph: GraphModule, inputs: Sequence[Tensor]) -> Callable:
    """Compile with `FUSING_OPTIONS`, and a derivative that computes filters of pairs again rather than reads them.

    Beyond some thousand atoms each of them is larger than what the C library keeps for the next step: its memory is
    then asked of the system, and filled with zeros by it, in every step.
    """
    import torch._functorch.config
    from torch._inductor.compile_fx import compile_fx  # takes seconds

    with torch._functorch.config.patch(aggressive_recomputation=True):
        compiled: Any = compile_fx(graph, inputs, config_patches=FUSING_OPTIONS)
    return compiled


def keep_compiled_code() -> None:
    """Let torch keep compiled code in the user's cache, not among the temporary files that a restart removes.

    The variable TORCHINDUCTOR_CACHE_DIR, if it is set, has the last word.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uqcv" / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter where a user has no home
        return
    if os.access(folder, os.W_OK):
        os.environ.setdefault(CACHE_VARIABLE, str(folder))


class _Compiled:
    """A compiled function that falls back to what it was made from, if compiling it fails at the first call."""

    def __init__(self, function: Callable, compiled: Callable) -> None:
        self._eager, self._function = function, compiled
        self._works = False

    def __call__(self, *arguments: Any) -> Any:
        if self._works:
            return self._function(*arguments)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=FutureWarning, module="torch")  # of torch about itself
                result = self._function(*arguments)
        except RuntimeError as error:
            say_failed(error)
            self._function = self._eager
            result = self._eager(*arguments)
        self._works = True
        return result


def say_eager(reason: str) -> None:
    """Tell the user why the network is not compiled."""
    print(f"uqcv: {reason}, the network runs uncompiled (slower, same numbers)", file=sys.stderr)


def say_failed(error: Exception) -> None:
    """Tell the user how compiling failed."""
    say_eager(f"compiling failed ({next(iter(str(error).splitlines()), type(error).__name__)})")
