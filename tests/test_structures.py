"""Structures: what they refuse, and their way through extxyz files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uqcv.errors import InputError
from uqcv.structures import Structure, elements, read_structures, require_labels, write_structures

WATER = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])


def water(**changes) -> Structure:
    return Structure(**{"numbers": [8, 1, 1], "positions": WATER, **changes})


def refused(path, *words: str, labelled: bool = False) -> None:
    """Reading must fail with one line that names the file and says `words`."""
    with pytest.raises(InputError) as caught:
        read_structures(path, labelled=labelled)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


@st.composite
def structures(draw) -> Structure:
    """Atoms on a grid of 1 Å, each moved by up to 0.25 Å, with or without a cell and labels."""
    n = draw(st.integers(1, 6))
    site = st.tuples(*[st.integers(-9, 9)] * 3)
    sites = draw(st.lists(site, min_size=n, max_size=n, unique=True))
    moved = draw(arrays(np.float64, (n, 3), elements=st.floats(-0.25, 0.25)))
    pbc = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    tilt = draw(arrays(np.float64, (3, 3), elements=st.floats(-0.9, 0.9)))
    numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
    labelled = draw(st.booleans())
    return Structure(
        numbers=draw(arrays(np.int64, n, elements=st.integers(1, 118))),
        positions=np.array(sites, dtype=float) + moved,
        cell=np.eye(3) * 20 + tilt if any(pbc) else np.zeros((3, 3)),
        pbc=pbc,
        energy=draw(numbers) if labelled else None,
        forces=draw(arrays(np.float64, (n, 3), elements=numbers)) if labelled else None,
        info={"walker": draw(st.integers(0, 99))},
    )


@settings(max_examples=60, deadline=None)
@given(frames=st.lists(structures(), min_size=1, max_size=3))
def test_extxyz_round_trip(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("xyz") / "frames.extxyz"
    write_structures(path, frames)
    again = read_structures(path)
    assert len(again) == len(frames)
    for a, b in zip(again, frames, strict=True):
        np.testing.assert_array_equal(a.numbers, b.numbers)
        np.testing.assert_allclose(a.positions, b.positions, atol=6e-9)  # extxyz has eight decimals
        np.testing.assert_array_equal(a.pbc, b.pbc)
        np.testing.assert_allclose(a.cell, b.cell, atol=1e-12)
        assert a.energy == b.energy
        assert (a.forces is None) == (b.forces is None)
        if b.forces is not None:
            np.testing.assert_allclose(a.forces, b.forces, atol=6e-9)
        assert a.info["walker"] == b.info["walker"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positions": [[0, 0, 0], [1, 0, np.nan], [0, 1, 0]]}, "positions: NaN or infinity"),
        ({"energy": np.inf}, "energy: NaN or infinity"),
        ({"forces": np.full((3, 3), np.nan)}, "forces: NaN or infinity"),
        ({"cell": np.full((3, 3), np.nan)}, "cell: NaN or infinity"),
        ({"positions": WATER[:2]}, r"positions: shape \(2, 3\) was given; \(3, 3\) is expected"),
        ({"positions": WATER.ravel()}, r"positions: shape \(9,\)"),
        ({"forces": np.zeros((2, 3))}, r"forces: shape \(2, 3\)"),
        ({"energy": [1.0, 2.0]}, r"energy: shape \(2,\)"),
        ({"cell": np.ones(3)}, r"cell: shape \(3,\)"),
        ({"pbc": [True]}, r"pbc: shape \(1,\)"),
        ({"positions": "abc"}, "positions: .*numbers are expected"),
        ({"numbers": [8, 1, 0]}, "atomic number 0 was given"),
        ({"numbers": [], "positions": np.zeros((0, 3))}, "without atoms"),
        ({"pbc": [True, False, False]}, "periodic but its cell vector is zero"),
    ],
)
def test_what_a_structure_refuses(changes, words):
    with pytest.raises(InputError, match=words):
        water(**changes)


def test_a_structure_owns_its_arrays():
    positions = WATER.copy()
    s = water(positions=positions)
    positions[:] = 0.0
    np.testing.assert_array_equal(s.positions, WATER)


def test_other_positions_have_no_labels():
    s = water().with_labels(-1.0, np.zeros((3, 3))).with_info(frame=7)
    moved = s.with_positions(WATER + 1.0)
    assert s.is_labelled and not moved.is_labelled
    assert moved.energy is None and moved.forces is None and moved.info == {"frame": 7}


def test_nan_in_a_file(tmp_path):
    path = tmp_path / "bad.extxyz"
    path.write_text("1\nProperties=species:S:1:pos:R:3\nH 0.0 nan 0.0\n")
    refused(path, "frame 0", "positions: NaN")


def test_the_frame_is_named(tmp_path):
    path = tmp_path / "bad.extxyz"
    frame = "2\nProperties=species:S:1:pos:R:3\nH 0 0 0\nH {} 0 0\n"
    path.write_text(frame.format(0.74) + frame.format("inf"))
    refused(path, "frame 1")


def test_positions_in_nm(tmp_path):
    path = tmp_path / "nm.extxyz"
    write_structures(path, [water(positions=WATER * 0.1)])
    refused(path, "are the positions in nm?")


@pytest.mark.parametrize(
    "unit", ["energy_unit=Hartree", "energy_unit=kcal/mol", "length_unit=nm", "force_unit=Ha/Bohr"]
)
def test_declared_other_units(tmp_path, unit):
    path = tmp_path / "units.extxyz"
    path.write_text(f"1\nProperties=species:S:1:pos:R:3 {unit}\nH 0 0 0\n")
    refused(path, unit, "Å, eV and eV/Å are expected")


def test_declared_own_units(tmp_path):
    path = tmp_path / "units.extxyz"
    path.write_text("1\nProperties=species:S:1:pos:R:3 energy_unit=eV length_unit=Ang force_unit=eV/Ang\nH 0 0 0\n")
    assert len(read_structures(path)) == 1


@pytest.mark.parametrize("missing", ["energy", "forces"])
def test_missing_labels(tmp_path, missing):
    path = tmp_path / "unlabelled.extxyz"
    labels = {"energy": -1.0, "forces": np.ones((3, 3))}
    write_structures(path, [water(**labels), water(**labels | {missing: None})])
    assert len(read_structures(path)) == 2
    refused(path, f"frame 1: no {missing}; label it first", labelled=True)


def test_no_structures_at_all():
    with pytest.raises(InputError, match="training set: no structures"):
        require_labels([], "training set")


@pytest.mark.parametrize("text", ["", "garbage\n", "3\nProperties=species:S:1:pos:R:3\nH 0 0 0\n"])
def test_an_empty_or_broken_file(tmp_path, text):
    path = tmp_path / "broken.extxyz"
    path.write_text(text)
    refused(path)


def test_a_missing_file(tmp_path):
    refused(tmp_path / "nowhere.extxyz", "no such file")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "frames.extxyz"
    write_structures(path, [water()])
    with pytest.raises(AttributeError):
        write_structures(path, [water(), None])
    assert len(read_structures(path)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["frames.extxyz"]


def test_elements():
    assert elements([water(), Structure([6], np.zeros((1, 3)))]) == [1, 6, 8]


def test_reference_data_are_read_with_their_labels(reference_data):
    frames = read_structures(reference_data / "ammonia_dft" / "ammonia_bp86.extxyz", labelled=True)
    assert len(frames) == 138
    assert elements(frames) == [1, 7]
    assert {s.info["stage"] for s in frames} == {"initial", "attack1", "attack2"}
