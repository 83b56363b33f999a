"""Which devices torch can use."""

from __future__ import annotations

import torch

from uqcv.errors import InputError


def require_device(name: str, option: str = "--device") -> None:
    """Refuse a device on which torch cannot make a tensor.

    Parameters
    ----------
    name
        Such as cpu or cuda:0.
    option
        Where it was given, for the message.

    Raises
    ------
    InputError
        If there is none of that name here.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (
            "it is not here, or does not work"
            if name.split(":")[0] in ("cpu", "cuda", "mps", "xpu")
            else "there is none of that name"
        )
        raise InputError(f"{option} {name} was given; torch cannot use it ({reason}): cpu is always there") from error
