"""Tables of numbers as CSV, in and out, without loss of digits."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uqcv.errors import InputError
from uqcv.files import read_with

Table = dict[str, NDArray[np.float64]]


def csv_text(columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> str:
    """Return columns as CSV; floats read back as they were, None is an empty field."""
    lines = [",".join(_field(value) for value in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join([",".join(columns), *lines]) + "\n"


def _field(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.17g}" if isinstance(value, float) else str(value)


def read_table(path: Path, required: Sequence[str] = ()) -> Table:
    """Read a CSV file of numbers by column; empty if it is missing or has no line yet.

    A last line without its newline is left out: somebody is writing it.

    Parameters
    ----------
    path
        The file.
    required
        Columns that it must have.

    Raises
    ------
    InputError
        If a field is not a number, a line has another number of fields, or a column is missing.
    """
    table = read_with(path, _parse_table, "a table of numbers (CSV)") if Path(path).is_file() else {}
    if table and (missing := set(required) - set(table)):
        raise InputError(f"{path}: no column {', '.join(sorted(missing))}; it has {', '.join(table)}")
    return table


def _parse_table(path: Path) -> Table:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    names, *rows = list(csv.reader(line for line in lines if line.endswith("\n"))) or [[]]
    if not rows:
        return {}
    values = np.array([[float(field or "nan") for field in row] for row in rows])
    return dict(zip(names, values.T, strict=True))
