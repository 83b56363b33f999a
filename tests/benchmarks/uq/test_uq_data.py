"""What a comparison reads, and what it refuses to."""

import numpy as np
import pytest

from uqcv.benchmarks.uq.data import Source, groups_of, read_data
from uqcv.benchmarks.uq.split import PARTS, Sizes, split
from uqcv.errors import InputError
from uqcv.structures import write_structures


@pytest.fixture
def npz(make_npz, tmp_path):
    return make_npz(tmp_path / "rmd17.npz")


@pytest.fixture
def write(frames, tmp_path):
    """Write some of the frames, with more in their comment lines."""

    def write(name, chosen, **info):
        path = tmp_path / name
        write_structures(
            path, [frames[k].with_info(**{key: v[i] for key, v in info.items()}) for i, k in enumerate(chosen)]
        )
        return path

    return write


def rows(path, *indices):
    path.write_text("".join(f"{k}\n" for k in indices))
    return path


def test_split_files_of_rmd17(npz, frames, tmp_path):
    (tmp_path / "train.csv").write_text("3\n0\n7\n")
    (tmp_path / "test.csv").write_text("5\n2\n8\n")
    source = Source((npz,), train_index=tmp_path / "train.csv", test_index=tmp_path / "test.csv")
    data = read_data(source)
    for read, k in zip([*data.pool, *data.test], [3, 0, 7, 5, 2, 8], strict=True):
        np.testing.assert_array_equal(read.positions, frames[k].positions)


def test_domains_are_told_apart_by_a_key(write):
    stages = ["first", "first", "second", "third", "second", "third", "second", "third"]
    path = write("data.extxyz", range(8), stage=stages)
    data = read_data(Source((path,), domain_key="stage", domain="first"))
    assert len(data.pool) == 2 and not data.test
    assert {name: len(own) for name, own in data.others.items()} == {"second": 3, "third": 3}


def test_other_files_are_test_sets(write):
    data = read_data(Source((write("cold.extxyz", range(4)),), (write("hot.extxyz", range(4, 10)),)))
    assert len(data.pool) == 4 and len(data.others["hot"]) == 6


def test_the_suffix_of_rmd17_may_be_in_capitals(make_npz, tmp_path):
    assert len(read_data(Source((make_npz(tmp_path / "UP.NPZ"),))).pool) == 12


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


def test_two_test_sets_of_one_name(write, tmp_path):
    (tmp_path / "more").mkdir()
    here, hot = write("here.extxyz", range(4)), write("hot.extxyz", range(4, 8))
    again = write("more/hot.extxyz", range(8, 12))
    with pytest.raises(InputError, match=r"more/hot\.extxyz: its test set would be called 'hot', as is that of .*hot"):
        read_data(Source((here,), (hot, again)))
    staged = write("staged.extxyz", range(12, 19), stage=["cold"] * 4 + ["Hot"] * 3)
    with pytest.raises(InputError, match=r"hot\.extxyz: its test set would be called 'hot', as is that of stage=Hot"):
        read_data(Source((staged,), (hot,), domain_key="stage", domain="cold"))


@pytest.mark.parametrize("name", ["in domain", "out of domain", "in-domain"])
def test_names_that_are_ours(write, name):
    with pytest.raises(InputError, match=f"its test set would be called '{name}', as is"):
        read_data(Source((write("here.extxyz", range(4)),), (write(f"{name}.extxyz", range(4, 8)),)))


@pytest.mark.parametrize("value", ["../../../../esc", "a/b", ".hidden", "x" * 101])
def test_values_that_are_no_names_of_files(write, value):
    path = write("data.extxyz", range(7), stage=["first"] * 4 + [value] * 3)
    with pytest.raises(InputError, match=rf"^stage={value}: '{value}' would be the name of a test set;"):
        read_data(Source((path,), domain_key="stage", domain="first"))


def test_frames_without_a_key_are_named_with_their_file(write):
    good, bare = write("good.extxyz", range(3), stage=["a"] * 3), write("bare.extxyz", range(3, 6))
    with pytest.raises(InputError, match=r"bare\.extxyz, frame 0: has no stage"):
        read_data(Source((good, bare), domain_key="stage", domain="a"))
    mixed = write("mixed.extxyz", range(6), stage=["a"] * 3 + ["b"] * 3)
    with pytest.raises(InputError, match=r"mixed\.extxyz, frame 0: has no copy"):
        read_data(Source((mixed,), domain_key="stage", domain="a", group_key="copy"))


def test_test_sets_that_are_too_small(write, npz, tmp_path):
    with pytest.raises(InputError, match=r"hot\.extxyz: 1 frame was given; a test set of at least 3 is expected"):
        read_data(Source((write("here.extxyz", range(4)),), (write("hot.extxyz", [5]),)))
    train, test = rows(tmp_path / "a.csv", 0, 1, 2), rows(tmp_path / "b.csv", 4, 5)
    with pytest.raises(InputError, match=r"b\.csv: 2 frames were given; a test set of at least 3"):
        read_data(Source((npz,), train_index=train, test_index=test))


def test_an_index_that_is_outside(npz, tmp_path):
    with pytest.raises(InputError, match=r"a\.csv: the index 12 was given; indices from 0 to 11 are expected"):
        read_data(Source((npz,), train_index=rows(tmp_path / "a.csv", 0, 12)))


def test_rows_that_are_there_twice(npz, tmp_path):
    train = rows(tmp_path / "a.csv", 0, 1, 2, 1)
    with pytest.raises(InputError, match=r"a\.csv: row 1 is there more than once"):
        read_data(Source((npz,), train_index=train))
    train, test = rows(tmp_path / "a.csv", 0, 1, 2), rows(tmp_path / "b.csv", 5, 2, 1)
    with pytest.raises(InputError, match=r"b\.csv: row 1 is in .*a\.csv too, of 2 shared in all"):
        read_data(Source((npz,), train_index=train, test_index=test))


def test_a_file_that_is_given_twice(write):
    here, copy = write("here.extxyz", range(6)), write("copy.extxyz", range(6))
    for source in (Source((here, here)), Source((here, copy)), Source((here,), (copy,))):
        with pytest.raises(InputError, match=r"holds the same data as .*here\.extxyz; give each file once"):
            read_data(source)


def test_a_frame_that_is_trained_on_and_tested(write):
    here, there = write("here.extxyz", range(6)), write("there.extxyz", [8, 9, 4])
    with pytest.raises(InputError, match=r"frame 2 of .*there\.extxyz \(there\) is the same as frame 4 of .*here\."):
        read_data(Source((here,), (there,)))


def test_copies_in_the_domain_stay_together_and_are_said(write, capfd):
    path = write("here.extxyz", [0, 1, 2, 0, 3, 1], copy=[0, 1, 2, 0, 3, 1])
    groups = groups_of(read_data(Source((path,))).pool, None)
    assert groups[0] == groups[3] and groups[1] == groups[5] and len(set(groups)) == 4
    assert "2 of 6 frames in the domain are copies of others" in capfd.readouterr().err
    read_data(Source((path,), group_key="copy"))
    assert not capfd.readouterr().err
