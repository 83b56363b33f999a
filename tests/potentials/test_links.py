"""All kinds of links must be the same sums over the same pairs, gradients included."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uqcv.potentials.links import CompleteLinks, ListedLinks, merge_links, with_itself
from uqcv.potentials.table_links import TableLinks

SUMS = ("sum_over_senders", "sum_over_receivers")
SPREADS = ("of_senders", "of_receivers")


def values_of(links, name, seed=0):
    listed = links.listed()
    length = listed.n_atoms if name in SPREADS else len(listed.i)
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(3, length, 4))).requires_grad_(True)


@given(molecules=st.integers(1, 3), size=st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_complete_links_are_the_list_of_all_pairs(molecules, size):
    listed = CompleteLinks(molecules, size).listed()
    expected = [(m * size + i, m * size + j) for m in range(molecules) for i in range(size) for j in range(size)]
    assert list(zip(listed.i.tolist(), listed.j.tolist(), strict=True)) == expected
    same = with_itself(CompleteLinks(molecules, size))
    np.testing.assert_array_equal(same, listed.i == listed.j)


@pytest.mark.parametrize("name", SUMS + SPREADS)
def test_complete_and_listed_agree_with_their_gradients(name):
    links = CompleteLinks(2, 3)
    results = []
    for form in (links, links.listed()):
        values = values_of(links, name)
        result = getattr(form, name)(values)
        (gradient,) = torch.autograd.grad(result.pow(3).sum(), values)
        results.append((result.detach(), gradient))
    for complete, listed in zip(*results, strict=True):
        torch.testing.assert_close(complete, listed, rtol=1e-14, atol=1e-14)


def as_table(links: CompleteLinks) -> TableLinks:
    """The same pairs, in the same order."""
    pairs = list(zip(links.listed().i.tolist(), links.listed().j.tolist(), strict=True))
    shape = (links.n_molecules * links.size, links.size)
    reverse = torch.tensor([pairs.index((j, i)) for i, j in pairs]).reshape(shape)
    return TableLinks(links.listed().j.reshape(shape), reverse)


@pytest.mark.parametrize("name", SUMS + SPREADS)
def test_a_table_agrees_with_its_list(name):
    table, results = as_table(CompleteLinks(2, 3)), []
    for form in (table, table.listed()):
        values = values_of(table, name)
        result = getattr(form, name)(values)
        (gradient,) = torch.autograd.grad(result.pow(3).sum(), values, create_graph=True)
        (second,) = torch.autograd.grad(gradient.pow(2).sum(), values)
        results.append((result.detach(), gradient.detach(), second))
    for in_rows, listed in zip(*results, strict=True):
        torch.testing.assert_close(in_rows, listed, rtol=1e-14, atol=1e-13)


FORMS = {"complete": lambda links: links, "listed": lambda links: links.listed(), "table": as_table}


@pytest.mark.parametrize(("along", "lead"), [(False, ()), (True, ()), (False, (3,))])
@pytest.mark.parametrize("form", FORMS)
def test_convolutions_are_the_sum_written_out(form, along, lead):
    links = CompleteLinks(2, 3)
    kernel, weights, values, directions = convolution_inputs(links, along, lead)
    result = FORMS[form](links).convolve(kernel, weights, values, directions)
    expected = np.zeros((*((3,) if along else lead), 6, 4))
    for p, (i, j) in enumerate(zip(links.listed().i.tolist(), links.listed().j.tolist(), strict=True)):
        message = (kernel[p] @ weights).detach().numpy() * values.detach().numpy()[..., j, :]
        expected[..., i, :] += message if directions is None else directions.detach().numpy()[:, p, None] * message
    np.testing.assert_allclose(result.detach(), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("along", "lead"), [(False, ()), (True, ()), (False, (3,))])
@pytest.mark.parametrize("form", ["complete", "table"])
def test_convolutions_have_the_derivatives_of_the_list(form, along, lead):
    """By distances, weights and values, once and twice, as training needs them."""
    links, results = CompleteLinks(2, 3), []
    for kind in (FORMS[form](links), links.listed()):
        kernel, weights, values, directions = convolution_inputs(links, along, lead)
        result = kind.convolve(kernel, weights, values, directions)
        given = [x for x in (weights, values) if x is not None]
        by_positions, *others = torch.autograd.grad(result.pow(3).sum(), [kernel.positions, *given], create_graph=True)
        second = torch.autograd.grad(by_positions.pow(2).sum(), [kernel.positions, *given])
        results.append((by_positions.detach(), *(o.detach() for o in others), *second))
    for own, listed in zip(*results, strict=True):
        torch.testing.assert_close(own, listed, rtol=1e-11, atol=1e-11)
    assert all(gradient.abs().max() > 0 for gradient in results[0])


def convolution_inputs(links: CompleteLinks, along: bool, lead: tuple[int, ...]):
    """A kernel and directions that belong to positions: the same, and opposite, for a pair and its reverse."""
    random = np.random.default_rng(0)
    positions, weights, values = (
        torch.as_tensor(random.normal(size=size)).requires_grad_(True) for size in ((6, 3), (5, 4), (*lead, 6, 4))
    )
    listed = links.listed()
    vectors = positions[listed.j] - positions[listed.i]
    squares = vectors.square().sum(dim=1)
    kernel = torch.stack([squares**b * torch.exp(-squares) for b in range(1, 6)], dim=1)
    kernel.positions = positions
    return kernel, weights, values, vectors.T / (1 + squares) if along else None


@pytest.mark.parametrize(("spread", "total"), zip(SPREADS, reversed(SUMS), strict=True))
def test_sums_are_the_transposes_of_spreads(spread, total):
    links = ListedLinks(torch.tensor([0, 0, 2, 3]), torch.tensor([1, 2, 0, 3]), 4)
    atoms, pairs = values_of(links, spread), values_of(links, total, seed=1)
    left = (getattr(links, spread)(atoms) * pairs).sum()
    right = (atoms * getattr(links, total)(pairs)).sum()
    torch.testing.assert_close(left, right)


def test_merged_links_keep_each_structure_to_itself():
    complete, listed = CompleteLinks(1, 2), ListedLinks(torch.tensor([0]), torch.tensor([2]), 3)
    assert merge_links([complete, CompleteLinks(2, 2)]) == CompleteLinks(3, 2)
    merged = merge_links([complete, listed, CompleteLinks(1, 1)])
    assert (merged.i.tolist(), merged.j.tolist(), merged.n_atoms) == ([0, 0, 1, 1, 2, 5], [0, 1, 0, 1, 4, 5], 6)
