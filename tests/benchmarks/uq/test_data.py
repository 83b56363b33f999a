"""What a comparison reads, and how it is split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uqcv.benchmarks.uq.data import Source, groups_of, read_data, read_rmd17
from uqcv.benchmarks.uq.split import PARTS, Sizes, sizes_for, split
from uqcv.errors import InputError
from uqcv.structures import write_structures


@pytest.fixture
def npz(tmp_path, frames):
    """The frames as a file of rMD17, which counts in kcal/mol: 1 eV is 23.0605 of them."""
    chosen = frames[:12]
    np.savez(
        tmp_path / "rmd17_molecule.npz",
        nuclear_charges=chosen[0].numbers,
        coords=np.array([s.positions for s in chosen]),
        energies=np.array([s.energy for s in chosen]) * 23.0605478,
        forces=np.array([s.forces for s in chosen]) * 23.0605478,
        old_indices=np.arange(12),
    )
    return tmp_path / "rmd17_molecule.npz"


def test_units_of_rmd17(npz, frames):
    for read, frame in zip(read_rmd17(npz), frames[:12], strict=True):
        np.testing.assert_array_equal(read.numbers, frame.numbers)
        np.testing.assert_array_equal(read.positions, frame.positions)
        assert read.energy == pytest.approx(frame.energy, rel=1e-8)
        np.testing.assert_allclose(read.forces, frame.forces, rtol=1e-8)


def test_split_files_of_rmd17(npz, frames, tmp_path):
    (tmp_path / "train.csv").write_text("3\n0\n7\n")
    (tmp_path / "test.csv").write_text("5\n2\n")
    source = Source((npz,), train_index=tmp_path / "train.csv", test_index=tmp_path / "test.csv")
    data = read_data(source)
    for read, k in zip([*data.pool, *data.test], [3, 0, 7, 5, 2], strict=True):
        np.testing.assert_array_equal(read.positions, frames[k].positions)


def test_domains_are_told_apart_by_a_key(frames, tmp_path):
    stages = ["first", "first", "second", "third", "second"]
    path = tmp_path / "data.extxyz"
    write_structures(path, [s.with_info(stage=stage) for s, stage in zip(frames, stages, strict=False)])
    data = read_data(Source((path,), domain_key="stage", domain="first"))
    assert len(data.pool) == 2 and not data.test
    assert {name: len(own) for name, own in data.others.items()} == {"second": 2, "third": 1}


def test_other_files_are_test_sets(frames, tmp_path):
    for name, own in (("cold", frames[:4]), ("hot", frames[4:10])):
        write_structures(tmp_path / f"{name}.extxyz", own)
    data = read_data(Source((tmp_path / "cold.extxyz",), (tmp_path / "hot.extxyz",)))
    assert len(data.pool) == 4 and len(data.others["hot"]) == 6


def test_real_ammonia_is_grouped_by_geometry(reference_data):
    path = reference_data / "ammonia_dft" / "ammonia_bp86.extxyz"
    data = read_data(Source((path,), domain_key="stage", domain="initial", group_key="geometry"))
    assert (len(data.pool), len(data.others["attack1"]), len(data.others["attack2"])) == (78, 30, 30)
    groups = groups_of(data.pool, "geometry")
    assert len(set(groups)) == 57
    parts = split(groups, Sizes(45, 8, 12, 13), seed=0)
    assert [len(parts[name]) for name in PARTS] == [13, 12, 8, 45]
    shared = [{groups[k] for k in own} for own in parts.values()]
    assert sum(map(len, shared)) == len(set.union(*shared)), "a geometry is in two parts"


@given(
    st.lists(st.integers(0, 12), min_size=30, max_size=60),
    st.tuples(*[st.integers(1, 7)] * 4),
    st.integers(0, 3),
)
def test_no_group_is_in_two_parts(numbers, sizes, seed):
    groups = [f"g{k}" for k in numbers]
    try:
        parts = split(groups, Sizes(*sizes), seed)
    except InputError:
        return  # a group was larger than a part
    found = [k for own in parts.values() for k in own]
    assert len(found) == len(set(found))
    assert all(0 < len(parts[name]) <= getattr(Sizes(*sizes), name) for name in PARTS)
    of_parts = [{groups[k] for k in own} for own in parts.values()]
    assert sum(map(len, of_parts)) == len(set.union(*of_parts))


def test_larger_training_sets_hold_the_smaller_ones():
    small, large = (split([str(k) for k in range(60)], Sizes(n, 5, 10, 10), seed=1) for n in (10, 30))
    assert small["training"] == large["training"][:10]
    assert all(small[name] == large[name] for name in PARTS[:3])


def test_sizes_that_are_not_said():
    (sizes,) = sizes_for(100, [], {}, has_test=False)
    assert sizes == Sizes(50, 10, 20, 20)
    (sizes,) = sizes_for(100, [], {}, has_test=True)
    assert sizes.test == 0
    with pytest.raises(InputError, match="there are 100: ask for fewer"):
        sizes_for(100, [90], {"test": 30}, has_test=False)
