"""Complete links and a list of the same pairs must be the same sums, gradients included."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uqcv.potentials.links import CompleteLinks, ListedLinks, merge_links, with_itself

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


@pytest.mark.parametrize(("kernel_leads", "values_lead"), [((), ()), ((3,), ()), ((), (3,))])
def test_convolutions_agree_with_the_sum_written_out(kernel_leads, values_lead):
    links = CompleteLinks(2, 3)
    random = np.random.default_rng(0)
    kernel, weights, values = (
        torch.as_tensor(random.normal(size=size)).requires_grad_(True)
        for size in ((*kernel_leads, 18, 5), (5, 4), (*values_lead, 6, 4))
    )
    results = []
    for form in (links, links.listed()):
        result = form.convolve(kernel, weights, values)
        results.append((result.detach(), *torch.autograd.grad(result.pow(3).sum(), (kernel, weights, values))))
    for complete, listed in zip(*results, strict=True):
        torch.testing.assert_close(complete, listed, rtol=1e-13, atol=1e-13)
    expected = np.zeros((*kernel_leads, *values_lead, 6, 4))
    for p, (i, j) in enumerate(zip(links.listed().i.tolist(), links.listed().j.tolist(), strict=True)):
        filters = kernel.detach().numpy()[..., p, :] @ weights.detach().numpy()
        expected[..., i, :] += filters * values.detach().numpy()[..., j, :]
    np.testing.assert_allclose(results[0][0], expected, rtol=1e-12)


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
