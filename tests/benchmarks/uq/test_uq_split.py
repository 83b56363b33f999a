"""How data are split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uqcv.benchmarks.uq.split import FEWEST, PARTS, Sizes, require_groups, sizes_for, split
from uqcv.errors import InputError


@given(
    st.lists(st.integers(0, 12), min_size=30, max_size=60),
    st.tuples(*[st.integers(3, 7)] * 4),
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
    assert all(FEWEST[name] <= len(parts[name]) <= getattr(Sizes(*sizes), name) for name in PARTS)
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


def test_training_frames_that_are_not_there():
    """Of the test set nothing is said but what it needs at least: nobody has asked for 0 frames."""
    with pytest.raises(InputError, match=r"^200 training, 10 validation, 20 calibration and at least 3 test frames"):
        sizes_for(100, [200], {}, has_test=False)


@pytest.mark.parametrize(("n", "has_test"), [(12, False), (5, True)])
def test_defaults_are_no_smaller_than_options_may_be(n, has_test):
    (sizes,) = sizes_for(n, [], {}, has_test)
    assert sizes.training >= 2 and sizes.calibration >= 2 and (has_test or sizes.test >= 3)
    with pytest.raises(InputError, match="ask for fewer or give more data"):
        sizes_for(4, [], {}, has_test)


def test_groups_that_leave_too_little():
    groups = ["a"] * 5 + ["b"] * 5 + ["c"] * 5 + ["d", "e"]
    with pytest.raises(InputError, match="4 frames were asked for test, of which whole groups leave 2; at least 3 are"):
        split(groups, Sizes(5, 5, 5, 4), seed=0)


def test_fewer_groups_than_parts():
    with pytest.raises(InputError, match=r"^all 40 frames are one group of 'all'; at least one for each of 4 parts"):
        require_groups(["all 1"] * 40, "all", 4)
    require_groups(["a", "b", "c"], "all", 3)
