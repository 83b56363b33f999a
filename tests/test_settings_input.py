"""Settings as people type them."""

import pytest

from uqcv.errors import InputError
from uqcv.settings_input import first_difference, read_angles, read_overrides


def test_overrides_by_dotted_key():
    assert read_overrides(["a.b=[1, 2]", "c = null", "d=x=y"]) == {"a.b": [1, 2], "c": None, "d": "x=y"}
    with pytest.raises(InputError, match="--set walkers was given; key=value is expected"):
        read_overrides(["walkers"])
    with pytest.raises(InputError, match="cannot be read as YAML"):
        read_overrides(["a=[1"])


def test_the_first_difference():
    one = {"a": 1, "b": {"c": 2, "d": [1, 2]}}
    assert first_difference(one, {"a": 1, "b": {"c": 2, "d": [1, 2]}}) is None
    assert first_difference(one, {"a": 1, "b": {"c": 2, "d": [2, 1]}}) == "b.d"
    assert first_difference(one, {"a": 1, "b": {"c": 2, "d": [1, 2], "e": 0}}) == "b.e"
    assert first_difference(one, {"a": 1}) == "b"


def test_angles():
    assert read_angles(["phi=60", "psi = -1e1"]) == {"phi": 60.0, "psi": -10.0}
    for text in ("phi", "phi=", "phi=nan", "phi=inf"):
        with pytest.raises(InputError, match=f"--turn {text} was given; torsion=degrees is expected"):
            read_angles([text])
    with pytest.raises(InputError, match="--turn phi=70 was given after --turn phi=60; give one angle for phi"):
        read_angles(["phi=60", "phi=70"])
