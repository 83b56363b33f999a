"""Where the grids of a bias end: outside, PLUMED's forces are wrong, at first without a word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from uqcv.simulation.plumed_actions import Action, read_statements


@dataclass(frozen=True)
class GridAxis:
    """An axis of a grid.

    Attributes
    ----------
    action
        Name or label of the bias.
    argument
        What the axis is of.
    lower, upper
        Its ends, in the unit of the argument.
    """

    action: str
    argument: str
    lower: float
    upper: float

    def problem(self, value: float) -> str | None:
        """Say that a value is outside, if it is; one that is not finite is said of elsewhere."""
        if not math.isfinite(value) or self.lower <= value <= self.upper:
            return None
        return (
            f"{self.argument} = {value:.6g} is outside the grid of {self.action} ({self.lower:g} to {self.upper:g}), "
            "where PLUMED's bias is wrong; widen GRID_MIN and GRID_MAX, or leave the grid out"
        )


def watched(text: str) -> tuple[str, list[GridAxis]]:
    """Return an input that hands over the value on each axis before the bias looks up its grid, and the axes.

    The action of axis k is called `grab_axis<k>`, as PLUMED's command `setMemoryForData axis<k>` expects. Axes whose
    ends are not plain numbers are left out: they are those of angles, which have no outside.
    """
    axes: list[GridAxis] = []
    lines: list[str] = []
    for action, statement in read_statements(text):
        for axis in _axes(action):
            lines.append(f"grab_axis{len(axes)}: GET ARG={axis.argument}")
            axes.append(axis)
        lines.append(statement)
    return ("\n".join(lines), axes) if axes else (text, axes)


def _axes(action: Action) -> list[GridAxis]:
    if action.name not in ("METAD", "PBMETAD"):
        return []
    arguments, lower, upper = (action.words.get(key, "").split(",") for key in ("ARG", "GRID_MIN", "GRID_MAX"))
    if not len(arguments) == len(lower) == len(upper):
        return []
    name = action.label or action.name
    ends = zip(arguments, map(_number, lower), map(_number, upper), strict=True)
    return [GridAxis(name, argument, a, b) for argument, a, b in ends if math.isfinite(a + b)]


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def outside(axes: Sequence[GridAxis], values: Sequence[float]) -> str | None:
    """Say which value is outside its axis, if one is."""
    return next(filter(None, (axis.problem(value) for axis, value in zip(axes, values, strict=True))), None)
