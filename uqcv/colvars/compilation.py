"""Compiling a network for many evaluations of one shape."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable

import torch
import torch._functorch.config
from torch import nn

# A step of a small molecule is hundreds of short kernels: called from C++ they cost a sixth less than from Python.
OPTIONS: dict[str, str | int | bool | Callable] = {"cpp_wrapper": True}


def compiled_or_eager(network: nn.Module) -> nn.Module:
    """Return `network` compiled for fixed shapes, or itself where there is no C++ compiler.

    torch keeps compiled code on disk and finds it again for the same architecture, shapes and version, whatever
    the weights: the first process pays tens of seconds, later ones two or three.
    """
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        print("uqcv: no C++ compiler was found, the network runs uncompiled (slower, same numbers)", file=sys.stderr)
        return network
    # Two gradients are taken from one forward pass: its buffers must outlive the first of them.
    torch._functorch.config.donated_buffer = False
    return torch.compile(network, dynamic=False, options=OPTIONS)  # type: ignore[return-value]
