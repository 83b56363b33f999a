import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uqcv.simulation.plumed_arrays import PlumedArrays

numbers = st.floats(-10, 10)


def make(n, n_extra):
    return PlumedArrays(np.ones(n), [f"extra{k}" for k in range(n_extra)])


@given(n=st.integers(1, 5), n_extra=st.integers(0, 3), data=st.data())
def test_what_is_told_lies_in_one_place(n, n_extra, data):
    memory = make(n, n_extra)
    positions = data.draw(arrays(float, (n, 3), elements=numbers))
    box = data.draw(st.none() | arrays(float, (3, 3), elements=numbers))
    extra = data.draw(st.lists(numbers, min_size=n_extra, max_size=n_extra))
    memory.tell(3, positions, box, extra)
    assert memory.step[0] == 3 and memory.were_told(positions, box, extra) and memory.are_finite()
    again = make(n, n_extra)
    again.tell(3, *again.parts(memory.told.copy()))
    assert again.were_told(positions, box, extra) and np.array_equal(again.told, memory.told)
    assert not memory.were_told(positions + 1.0, box, extra)
    assert not memory.were_told(positions, np.full((3, 3), 11.0), extra)


def test_each_step_clears_what_plumed_adds_to():
    memory = make(2, 1)
    for answer in (memory.forces, memory.virial, memory.extra_forces):
        answer += 1.0
    memory.tell(1, np.zeros((2, 3)), None, [0.0])
    assert not any(answer.any() for answer in (memory.forces, memory.virial, memory.extra_forces))


def test_plumed_is_handed_views_that_later_steps_fill():
    memory, given_to_plumed = make(2, 2), {}
    memory.hand_over(given_to_plumed.__setitem__)
    memory.tell(1, np.full((2, 3), 2.0), np.eye(3), [5.0, 7.0])
    assert given_to_plumed["setPositions"].sum() == 12.0 and given_to_plumed["setBox"].trace() == 3.0
    assert [given_to_plumed[f"setExtraCV extra{k}"].tolist() for k in range(2)] == [[5.0], [7.0]]
    given_to_plumed["setExtraCVForce extra1"] += 3.0
    assert memory.extra_forces.tolist() == [0.0, 3.0]


def test_what_is_not_finite():
    memory = make(1, 0)
    memory.bias[0] = np.inf
    assert not memory.are_finite()
    memory.bias[0] = 0.0
    memory.tell(0, np.full((1, 3), np.nan), None, [])
    assert not memory.are_finite()
